"""The picture of README.md: a stored result of networks as SVG.

python bench/picture.py bench/results/networks/NAME.json docs/speed.svg
"""

import sys
from pathlib import Path

from fastdw_bench import charts, document

# It stands alone: on a page it has no style sheet, and behind it may be black.
STYLE = """<style>
text { font: 12px sans-serif; fill: #222; }
.grid { stroke: #ddd; }
.limit { stroke: #444; stroke-dasharray: 4 3; }
</style>
<rect width="100%" height="100%" fill="#fff"/>"""

# As the tables of README.md and of the guide have them, in their order.
NETWORKS = {
    "MobileNet.tflite": "MobileNet 224",
    "MobileNetV2.tflite": "MobileNetV2 224",
    "MobileNetV3Small.tflite": "MobileNetV3 Small 224",
    "MobileNetV3Large.tflite": "MobileNetV3 Large 224",
    "EfficientNetB0.tflite": "EfficientNetB0 224",
    "NASNetMobile.tflite": "NASNetMobile 224",
    "Xception.tflite": "Xception 299",
    "CIFAR.tflite": "six separable layers, 32×32",
    "mp_face_detection_short_range.tflite": "MediaPipe, faces, short range",
    "mp_selfie_segmentation_landscape.tflite": "MediaPipe, selfies, landscape",
    "tiny_vww_96_float.tflite": "visual wake words 96, float",
    "rapidocr_ch_ppocr_mobile_v2.0_cls_infer.onnx": "RapidOCR, direction of text",
}
ENGINES = {
    "litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "mnn": "MNN",
}


def drawn(result: Path) -> str:
    """The networks on one thread."""
    loaded = document.load(result)
    places = list(NETWORKS)
    loaded["rows"].sort(key=lambda row: places.index(row["name"]))
    for row in loaded["rows"]:
        row["name"] = NETWORKS[row["name"]]
    head, _, body = charts.bars(loaded, 1).partition("\n")
    for engine, title in ENGINES.items():
        body = body.replace(f">{engine}<", f">{title}<").replace(f">{engine}: ", f">{title}: ")
    return "\n".join([head, STYLE, body, ""])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Path(sys.argv[2]).write_text(drawn(Path(sys.argv[1])), encoding="utf-8")

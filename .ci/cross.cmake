# TRIPLE names a cross compiler of Debian; SYSROOT holds the target's Python.
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "$ENV{TRIPLE}")
set(CMAKE_CXX_COMPILER "$ENV{TRIPLE}-g++")
set(Python_INCLUDE_DIR "$ENV{SYSROOT}/usr/include/python3.11")
# Python.h includes <TRIPLE/python3.11/pyconfig.h>; all else there is the compiler's own business.
set(CMAKE_CXX_FLAGS_INIT "-idirafter $ENV{SYSROOT}/usr/include")

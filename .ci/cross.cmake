# TRIPLE names a cross compiler of Debian; SYSROOT holds the target's Python.
set(CMAKE_SYSTEM_NAME Linux)
# Of 32-bit systems too: so a 64-bit kernel under them names it.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if("$ENV{TRIPLE}" MATCHES "i686")
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
endif()
set(CMAKE_CXX_COMPILER "$ENV{TRIPLE}-g++")
set(Python_INCLUDE_DIR "$ENV{SYSROOT}/usr/include/python3.11")
# Python.h includes <MULTIARCH/python3.11/pyconfig.h>; all else there is the compiler's own business.
set(CMAKE_CXX_FLAGS_INIT "-idirafter $ENV{SYSROOT}/usr/include")

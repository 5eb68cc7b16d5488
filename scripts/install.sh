#!/bin/sh
# Make .venv in this checkout and install JULNet into it, with the extras named as $1 ("" or "editor,train,dev").
# Safe to run again: it repairs and updates. PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
extras="${1:-}"
log=.venv/install.log

say() { printf '%s\n' "$*" >&2; }
fail() { say "make: $*"; exit 1; }
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() { # PACKAGE...: install, or say the one line that does
    if can_apt; then
        say "installing $* with apt"
        [ -n "${apt_updated:-}" ] || apt-get update -qq </dev/null
        apt_updated=yes
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
    elif command -v apt-get >/dev/null 2>&1; then
        fail "run this, then try again: sudo apt-get install -y $*"
    else
        fail "your system lacks $* (Debian's names); install the packages that hold them, then try again"
    fi
}

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 is needed and not found; install it, or name it: make PYTHON=/path/to/python3.11 …"
}

make_venv() {
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return
    python=$(find_python)
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 && return
    # Debian splits ensurepip off: borrow the system's pip, or install the missing part.
    rm -rf .venv
    if "$python" -m venv --without-pip .venv 2>/dev/null &&
        "$python" -m pip --python .venv/bin/python install --quiet pip 2>/dev/null; then
        return
    fi
    rm -rf .venv
    apt_install python3.11-venv
    "$python" -m venv .venv
}

# Python compiles a module when it is first imported; compiling all of them first costs a minute for what few ever use.
try_pip() { .venv/bin/python -m pip install --disable-pip-version-check --no-compile "$@" </dev/null >>"$log" 2>&1; }
pip_install() {
    if ! try_pip "$@"; then
        tail -n 25 "$log" >&2
        fail "pip could not install $*; the whole story is in $log"
    fi
}

# Without an NVIDIA GPU the CPU build of torch does the same in a tenth of the size; with one, it would not use it.
# Which builds there are depends on where this machine's pip looks; any build of the pinned version works.
install_torch() {
    [ "$(uname -s)" = Linux ] || return 0
    version=$(sed -n 's/.*"torch==\([0-9.]*\)".*/\1/p' pyproject.toml)
    .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '$version')" \
        2>/dev/null && return 0
    if nvidia-smi -L >/dev/null 2>&1; then wanted="torch==$version,!=$version+cpu"; else wanted="torch==$version+cpu"; fi
    try_pip --no-deps "$wanted" ||
        say "no build of torch made for this machine is offered; taking the one that is"
}

# Wheels carry their own libraries but for a few of the desktop's. Try them, and get what is missing.
check_libraries() {
    programme='import cv2, mediapipe, soundfile'
    case ",$extras," in *,editor,*)
        programme="$programme
from PySide6 import QtGui, QtWidgets
QtWidgets.QApplication(['check', '-platform', 'offscreen'])" ;;
    esac
    for _ in 1 2 3 4 5 6 7 8; do
        problem=$(.venv/bin/python -W ignore -c "$programme" 2>&1) && return
        library=$(printf '%s' "$problem" | sed -n 's/.*\(lib[A-Za-z0-9_+.-]*\.so[.0-9]*\): cannot open shared.*/\1/p' | tail -n 1)
        case "$library" in
            libGL.so*) apt_install libgl1 ;;
            libEGL.so*) apt_install libegl1 ;;
            libGLESv2.so*) apt_install libgles2 ;;
            libOpenGL.so*) apt_install libopengl0 ;;
            libglib-2.0.so* | libgthread-2.0.so*) apt_install libglib2.0-0 ;;
            libxkbcommon.so*) apt_install libxkbcommon0 ;;
            libdbus-1.so*) apt_install libdbus-1-3 ;;
            libfontconfig.so*) apt_install libfontconfig1 ;;
            libfreetype.so*) apt_install libfreetype6 ;;
            libX11.so*) apt_install libx11-6 ;;
            libxcb.so*) apt_install libxcb1 ;;
            libSM.so*) apt_install libsm6 ;;
            libICE.so*) apt_install libice6 ;;
            libXext.so*) apt_install libxext6 ;;
            libXrender.so*) apt_install libxrender1 ;;
            libgomp.so*) apt_install libgomp1 ;;
            libstdc++.so*) apt_install libstdc++6 ;;
            *) printf '%s\n' "$problem" | tail -n 5 >&2; fail "an installed library does not load; see above" ;;
        esac
    done
    fail "installed libraries still do not load: $problem"
}

# MLT is a host that tests run for real; they do without it where it is not to be had.
offer_melt() {
    case ",$extras," in *,dev,*) ;; *) return 0 ;; esac
    command -v melt >/dev/null 2>&1 && return 0
    if can_apt; then
        (apt_install melt libmlt-data) 2>>"$log" || say "melt is not to be had here; tests that run it are skipped"
    else
        say "to test MLT for real as well: install melt (Debian's name)"
    fi
}

make_venv
: >"$log"
say "installing into .venv (a few minutes the first time)"
offer_melt & # has nothing to do with pip, and waits for other servers
install_torch
# Tested versions where they were tested: what comes out tomorrow is for whoever asks for it.
[ "$(uname -sm)" = "Linux x86_64" ] && try_pip -c requirements.lock -e ".${extras:+[$extras]}" ||
    pip_install -e ".${extras:+[$extras]}"
wait # apt has one user at a time
check_libraries

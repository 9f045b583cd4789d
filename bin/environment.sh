# Sourced by bin/serve and bin/test: the virtual environment, and how to speak to the person who started us.
# shellcheck shell=bash disable=SC2034 # the variables are for those who source this

venv=.venv
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' green='' dim='' plain=''; fi

say() { printf '%s\n' "$*"; }
step() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
fail() { # status, sentence
  printf '%s\n' "$2" >&2
  exit "$1"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  if command -v python3 >/dev/null; then
    fail 1 "This machine has $(python3 --version), and 3.11 or newer is needed.
Ubuntu 22.04 has one beside it:  sudo apt-get install python3.11 python3.11-venv
On other systems install Python 3.11 or newer, and start again."
  fi
  fail 1 "Python is missing. Install it and start again:  sudo apt-get install python3 python3-venv"
}

make_venv() {
  local python package
  if [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
  python=$(find_python) || exit $?
  package=$python-venv
  "$python" -c 'import ensurepip, venv' 2>/dev/null || fail 1 "Python's venv module is missing. Install it and start again:  sudo apt-get install $package"
  step "Making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" || fail 1 "$venv cannot be made. Is the folder $PWD writable, and is there space left on its disk?"
}

install_requirements() { # a requirements file, by its lock with hashes where it has one, and then nothing is built here; done again only when they, or the Python, have changed
  local stamp wanted chosen=(-r "$1")
  [ -f "${1%.txt}.lock" ] && chosen=(--only-binary :all: --require-hashes -r "${1%.txt}.lock")
  stamp=$venv/.installed-${1%.txt}
  wanted=$(cat requirements*.txt requirements*.lock "$venv/pyvenv.cfg" | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  step "Installing $1"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${chosen[@]}" \
    || fail 1 "$1 could not be installed; pip says why above. Without internet access set PIP_INDEX_URL to your own package index."
  echo "$wanted" >"$stamp"
}

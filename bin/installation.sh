# Sourced by bin/install and bin/upgrade: where things lie, and how a change is announced, made once, or only shown.
# shellcheck shell=bash disable=SC2034 # the variables are for those who source this

umask 022
name=mcp-server
files=(
  wsgi.py gunicorn.conf.py requirements.txt requirements.lock requirements-secrets.txt requirements-secrets.lock README.md LICENSE CHANGELOG.md SECURITY.md
  bin config docs evals mcp_server supervisor supply_chain systemd
)
operator_files=(tools prompts incident_taxonomy.yaml clients.yaml knowledge.yaml) # of config/: theirs, kept over upgrades
unit_files=("$name.service" "$name-backup.service" "$name-backup.timer")
root='' dry_run='' venv_given='' keep=3 patience=240 changes=0

choose_paths() { # $root is empty, or the folder that stands for /
  application=$root/opt/$name
  settings=$root/etc/$name
  credentials=$settings/credentials
  state=$root/var/lib/$name
  logs=$root/var/log/$name
  units=$root/etc/systemd/system
  pid_file=$root/run/$name/gunicorn.pid
  redis_instance=redis-server@$name
  # The system's programs: a Python in the home of whoever calls sudo is closed to the service.
  on_this_machine && PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  return 0
}

usage_error() { fail 2 "$1
$(basename "$0") --help lists the options."; }

on_this_machine() { [ -z "$root" ]; } # false: into a folder, without users, packages and systemd
with_systemd() { on_this_machine && [ -d /run/systemd/system ]; }

take_root() { # a folder given with --prefix
  [ -n "$1" ] || usage_error '--prefix needs a folder.'
  case $1 in *[!A-Za-z0-9/._+-]*) usage_error "--prefix: only letters, digits and / . _ + - may be in the path, not: $1" ;; esac
  root=$(realpath -m "$1")
  [ "$root" != / ] || root=''
}

require_root_user() {
  on_this_machine || return 0
  [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || fail 1 "This changes the system, so it must be root:  sudo $0
To see what it would do:  $0 --dry-run"
}

change() { # sentence, command: said, and done unless this is a dry run
  changes=$((changes + 1))
  if [ -n "$dry_run" ]; then
    say "would: $1"
    return
  fi
  step "$1"
  shift
  "$@" || fail 1 "That did not work; the reason is above. Mend it and run ${INSTALLING:-$0} again: it goes on where it stopped."
}

ensure_folder() { # path, mode, owner, group if it is not the owner's
  local owner=$3 group=${4:-}
  on_this_machine || owner=$(id -un) group=
  group=${group:-$(group_of "$owner")}
  if [ -d "$1" ] && { [ -n "$dry_run" ] || [ "$(stat -c '%a %U %G' "$1")" = "$2 $owner $group" ]; }; then return; fi
  change "make the folder $1 ($owner, mode $2)" install -d -m "$2" -o "$owner" -g "$group" "$1"
}

ensure_secrets() { # the service reads them at each reload; nobody else can
  local each group
  ensure_folder "$credentials" 750 root "$name"
  group=$(group_of "$(service_user)")
  for each in "$credentials"/*; do
    [ -f "$each" ] || continue
    [ "$(stat -c '%a %G' "$each")" = "640 $group" ] || change "let the service alone read $each" give_to_service "$each" "$group"
  done
}

give_to_service() { chgrp "$2" "$1" && chmod 640 "$1"; }

ensure_file() { # path, mode, group; the content is stdin. Whole or not at all: written beside, then renamed.
  local wanted group=$3
  wanted=$(cat; printf x) # x keeps the newline at the end
  on_this_machine || group=$(id -gn)
  if [ -f "$1" ] && [ "$(cat "$1" 2>/dev/null; printf x)" = "$wanted" ] && [ "$(stat -c '%a %G' "$1")" = "$2 $group" ]; then return; fi
  change "write $1" put "$1" "$2" "$group" "${wanted%x}"
}

put() { # path, mode, group, content
  local new
  mkdir -p "$(dirname "$1")" && new=$(mktemp "$1.XXXXXX") || return
  if printf '%s' "$4" >"$new" && chgrp "$3" "$new" && chmod "$2" "$new" && mv -f "$new" "$1"; then return; fi
  rm -f "$new"
  return 1
}

group_of() { id -gn "$1" 2>/dev/null || echo "$1"; }

rendered() { # a file of the project, with its paths below $root
  sed -e "s|/opt/$name|$application|g; s|/etc/$name|$settings|g; s|/var/lib/$name|$state|g; s|/var/log/$name|$logs|g; s|/run/$name|${pid_file%/*}|g" "$1"
}

service_user() { if on_this_machine; then echo "$name"; else id -un; fi; }

installed_release() { # the folder that `current` names, or nothing
  [ -L "$application/current" ] && readlink -f "$application/current"
}

hold_lock() { # two at once would undo each other
  [ -z "$dry_run" ] || return 0
  mkdir -p "$application" || exit 1
  exec 9>>"$application/.lock"
  flock -n 9 || fail 75 "Another bin/install or bin/upgrade is at work here. Try again when it has ended."
}

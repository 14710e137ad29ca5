#!/bin/sh
# Runs a command for as long as standard input stays open, and no longer. Whoever started us holds the other end of
# that pipe; when it dies, even by SIGKILL, the kernel closes the pipe and the command is stopped: SIGTERM, then
# SIGKILL. So a broker is never left behind. The command's process id goes to descriptor 3.
grace_s=$1
shift
exec 4<&0
"$@" </dev/null 3>&- 4<&- &
child=$!
echo "$child" >&3
exec 3>&-
{
  while read -r _; do :; done
  kill -TERM "$child" 2>/dev/null
  while [ "$grace_s" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
    sleep 1
    grace_s=$((grace_s - 1))
  done
  kill -KILL "$child" 2>/dev/null
} <&4 >/dev/null 2>&1 &
watcher=$!
exec 4<&- </dev/null
wait "$child"
code=$?
kill -KILL "$watcher" 2>/dev/null
exit "$code"

#!/bin/sh
# shellcheck disable=SC1091,SC2086,SC3045,SC2154 # dash has ulimit -l; words are split where they are meant to be
# The first process of a virtual machine (test_old_kernel.py makes it). Says "@ok NAME" or "@not ok NAME # WHY"
# for each thing that it looks at, and turns the machine off.
export PATH=/usr/bin:/usr/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /sys/fs/cgroup
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
chmod 1777 /tmp
ln -sf /proc/self/fd /dev/fd
echo 1 >/proc/sys/kernel/printk
. /guest.conf # LETHE, TESTS, RESIDUE
USER_ID=1000
SIZE=12582912 # of the model: more than an ordinary user may lock
GROUPS_AT=/sys/fs/cgroup
SWAP=/dev/ram0

judge() { # NAME STATUS WHY
    if [ "$2" -eq 0 ]; then echo "@ok $1"; else echo "@not ok $1 # $(echo "$3" | tr '\n' ' ')"; fi
}
is() { # NAME WANTED GOT
    [ "$2" = "$3" ]
    judge "$1" $? "wanted '$2', got '$3'"
}
has() { # NAME PART TEXT
    case $3 in *"$2"*) judge "$1" 0 ;; *) judge "$1" 1 "no '$2' in '$3'" ;; esac
}

fresh_swap() {
    swapoff $SWAP 2>/dev/null
    dd if=/dev/zero of=$SWAP bs=1M 2>/dev/null
    mkswap $SWAP >/dev/null
    swapon $SWAP
}

# Runs as USER: as it is logged in, 8 MiB may be locked. as root|user COMMAND...
as() {
    who=$1
    shift
    case $who in
    root) HOME=/root "$@" ;;
    user) HOME=/home/user setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all "$@" ;;
    esac
}

# A tree as a user's systemd has it: t/in is where things run; t is the user's, or not.
make_groups() { # yes|no
    echo +memory >$GROUPS_AT/cgroup.subtree_control
    mkdir -p $GROUPS_AT/t/in
    echo +memory >$GROUPS_AT/t/cgroup.subtree_control
    owner=0
    [ "$1" = yes ] && owner=$USER_ID
    for file in t t/cgroup.procs t/cgroup.subtree_control t/in t/in/cgroup.procs; do
        chown $owner:$owner $GROUPS_AT/$file
    done
}

# Starts an engine in the background in t/in, and waits until it has read the model.
# start WHO LOCK_KIB OPTION...
start() {
    who=$1 limit=$2
    shift 2
    rm -f /tmp/go /tmp/up /tmp/out
    (
        sh -c "echo \$\$ >$GROUPS_AT/t/in/cgroup.procs
               ulimit -l $limit; exec \"\$@\"" sh sh -c 'who=$1; shift; . /as.sh; as $who "$@"' sh "$who" \
            $LETHE exec /tmp/$who.model "$@" -- \
            sh -c 'cat $1 >/dev/null; : >/tmp/up; while [ ! -e /tmp/go ]; do sleep 0.05; done' sh '{model}' \
            >/tmp/out 2>&1
        echo $? >/tmp/code
    ) &
    for _ in $(seq 200); do
        [ -e /tmp/up ] && return 0
        kill -0 $! 2>/dev/null || return 1
        sleep 0.05
    done
}

# Takes what memory it can from everything below t, and counts the pages of the model that reach swap.
squeeze() {
    for _ in 1 2 3; do
        echo 32M >$GROUPS_AT/t/memory.reclaim 2>/dev/null
    done
    sync
    echo 3 >/proc/sys/vm/drop_caches
    $RESIDUE count $SWAP $SIZE 7
}

stop() {
    : >/tmp/go
    wait
}

record() { # WHO FIELD of the last engine_started
    as "$1" $LETHE audit show --json --event engine_started | tail -n 1 | sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p"
}

own_groups() {
    find $GROUPS_AT -name 'lethe-*' | wc -l
}

# ---- models, while there is no swap ----
{ echo "USER_ID=$USER_ID"; sed -n '/^as() {/,/^}/p' "$0"; } >/as.sh
mkdir -p /root /home/user
chown $USER_ID:$USER_ID /home/user
ulimit -l 8192
for who in root user; do
    as $who $LETHE init >/dev/null 2>&1
    as $who $RESIDUE make /tmp/$who.bin $SIZE 7
    as $who $LETHE encrypt /tmp/$who.bin -o /tmp/$who.model >/dev/null 2>&1
    rm /tmp/$who.bin
done
$RESIDUE load /brd.ko "rd_nr=1 rd_size=32768"
is "kernel is 6.1" 6.1 "$(uname -r | cut -d. -f1,2)"

# ---- root: no noswap here, so locks ----
make_groups no
fresh_swap
for how in tmpfs memfd; do
    start root 8192 --handover $how
    found=$(squeeze)
    guardian=$(ps -eo pid,comm | awk '/lethe-guardian/ {print $1}' | head -n 1)
    locked=$(awk '/VmLck/ {print ($2 * 1024 >= '$SIZE')}' /proc/$guardian/status)
    stop
    is "root $how: by locks" locked "$(record root swap)"
    is "root $how: the guardian has them locked" 1 "$locked"
    is "root $how: nothing reaches swap" 0 "$found"
    has "root $how: wiped" "12.0 MiB wiped and verified" "$(cat /tmp/out)"
done

# ---- an ordinary user with groups of their own ----
make_groups yes
for how in tmpfs memfd; do
    fresh_swap
    start user 8192 --handover $how
    group=$(find $GROUPS_AT -name 'lethe-*')
    is "user $how: a group of its own" 1 "$(echo "$group" | wc -w)"
    is "user $how: memory.swap.max" 0 "$(cat "$group/memory.swap.max")"
    is "user $how: the guardian and the engine are in it" yes \
        "$([ "$(wc -l <"$group/cgroup.procs")" -ge 2 ] && echo yes)"
    found=$(squeeze)
    is "user $how: no page of it is swapped" 0 "$(cat "$group/memory.swap.current")"
    stop
    is "user $how: by a cgroup" cgroup "$(record user swap)"
    is "user $how: nothing reaches swap" 0 "$found"
    has "user $how: wiped" "12.0 MiB wiped and verified" "$(cat /tmp/out)"
    is "user $how: the group is gone" 0 "$(own_groups)"
done

# The guardian alone is killed: the supervisor removes the group.
start user 8192 --handover tmpfs
kill -KILL "$(ps -eo pid,comm | awk '/lethe-guardian/ {print $1}' | head -n 1)"
wait
is "user: the guardian killed: the group is gone" 0 "$(own_groups)"
is "user: the guardian killed: exit" 137 "$(cat /tmp/code)"

# The supervisor alone: the guardian does.
start user 8192 --handover tmpfs
kill -KILL "$(ps -eo pid,args | awk '$2 ~ /lethe$/ && $3 == "exec" {print $1}' | head -n 1)"
wait
for _ in $(seq 100); do [ "$(own_groups)" = 0 ] && break; sleep 0.05; done
is "user: the supervisor killed: the group is gone" 0 "$(own_groups)"

# Both: the next command ends what is left in it, and removes it.
start user 8192 --handover memfd
pids=$(ps -eo pid,comm,args | awk '$2 == "lethe-guardian" || ($2 == "lethe" && $4 == "exec") {print $1}')
kill -STOP $pids
kill -KILL $pids
wait
sleep 0.2
is "user: both killed: the group is left" 1 "$(own_groups)"
as user $LETHE key list >/dev/null 2>&1
is "user: both killed: the next command removes it" 0 "$(own_groups)"

# ---- without ----
make_groups no
fresh_swap
start user 8192
wait
is "user without groups: refused" 6 "$(cat /tmp/code)"
for part in "nothing keeps the weights from swap" "tmpfs with noswap:" "mlock: only 8.00 MiB may be locked" \
    "a cgroup without swap:" "a host without swap: swap is active" "ulimit -l " \
    "systemd-run --user --scope -p MemorySwapMax=0 lethe exec" "--allow-swap"; do
    has "user without groups: says '$part'" "$part" "$(cat /tmp/out)"
done
enough=$(sed -n 's/.*ulimit -l \([0-9]*\).*/\1/p' /tmp/out)

# The control: it is swapped, when that is allowed, and can be found.
for how in tmpfs memfd; do
    fresh_swap
    start user 8192 --handover $how --allow-swap
    found=$(squeeze)
    stop
    is "user $how: --allow-swap is on record" unsafe "$(record user swap)"
    has "user $how: --allow-swap warns" "nothing keeps the weights from swap (--allow-swap)" "$(cat /tmp/out)"
    is "user $how: --allow-swap: the weights are found in swap" yes "$([ "$found" -gt 1000 ] && echo yes)"
    echo "   $found of $((SIZE / 4096)) pages found"
    is "user $how: and wiped in memory" 0 "$(cat /tmp/code)"
done

# What the hint says is enough.
fresh_swap
start user "$enough"
found=$(squeeze)
stop
is "user with the limit of the hint: by locks ($enough)" locked "$(record user swap)"
has "user with the limit of the hint: wiped" "wiped and verified" "$(cat /tmp/out)"
is "user with the limit of the hint: nothing reaches swap" 0 "$found"

# As systemd-run -p MemorySwapMax=0 has it.
fresh_swap
echo 0 >$GROUPS_AT/t/memory.swap.max
start user 8192
found=$(squeeze)
stop
is "user in a group without swap: by it" cgroup "$(record user swap)"
is "user in a group without swap: nothing reaches swap" 0 "$found"
echo max >$GROUPS_AT/t/memory.swap.max

# No swap; then somebody turns it on.
swapoff $SWAP
start user 8192
stop
is "user without swap" "no swap" "$(record user swap)"
start user 8192
swapon $SWAP
wait
is "swap turned on: the engine is ended" 6 "$(cat /tmp/code)"
has "swap turned on: said" "swap was turned on" "$(cat /tmp/out)"
has "swap turned on: on record" policy_violation "$(as user $LETHE audit show --event policy_violation)"
is "swap turned on: wiped" wiped \
    "$(as user $LETHE audit show --json --event engine_exited | tail -n 1 | sed -n 's/.*"wiped":"\([a-z]*\)".*/\1/p')"

# ---- an engine that the kernel kills, because its group's memory is at an end ----
mkdir -p $GROUPS_AT/t/small
echo 16M >$GROUPS_AT/t/small/memory.max
as root $LETHE exec /tmp/root.model -- sh -c "cat \$1 >/dev/null; echo \$\$ >$GROUPS_AT/t/small/cgroup.procs
    exec dd if=/dev/zero of=/dev/null bs=64M count=1" sh '{model}' >/tmp/out 2>&1
is "engine out of memory: exit" 137 $?
has "engine out of memory: wiped" "12.0 MiB wiped and verified" "$(cat /tmp/out)"

# ---- doctor ----
make_groups yes
text=$(sh -c "echo \$\$ >$GROUPS_AT/t/in/cgroup.procs; exec sh -c '. /as.sh; as user $LETHE doctor'")
has "doctor: noswap is refused here" "noswap       not here" "$text"
has "doctor: by a cgroup" "kept from swap by a cgroup without swap" "$text"
is "doctor leaves no group" 0 "$(own_groups)"

# ---- every test of the room, on this kernel ----
swapoff $SWAP
for test in $TESTS; do
    for user in "" ordinary; do
        out=$(setsid -w "$test" $user 2>&1)
        judge "$(basename "$test") $user" $? "$(echo "$out" | grep -v ' OK \] \| RUN ' | tail -n 12)"
    done
done
echo "@done"
echo o >/proc/sysrq-trigger
sleep 10

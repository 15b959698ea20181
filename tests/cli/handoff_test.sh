#!/bin/sh
# SPDX-License-Identifier: MIT
# handoff_test.sh SUTURE - what front ends and agents say of wrong settings, and settings read anew; without privilege.
set -u
suture=$1
dir=$(mktemp -d) || exit 1
pid=
bad=0

clean_up() {
	trap - EXIT
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# expect CODE STREAM PATTERN COMMAND...: runs the command and looks for PATTERN in its output or its errors
expect() {
	code=$1 stream=$2 pattern=$3
	shift 3
	"$@" >"$dir/out" 2>"$dir/err"
	got=$?
	if [ "$got" -ne "$code" ] || ! grep -q -e "$pattern" "$dir/$stream"; then
		echo "not ok: $*: exit $got (expected $code), expected '$pattern' in $stream:"
		sed 's/^/    /' "$dir/out" "$dir/err"
		bad=1
	fi
}

# said PATTERN: in the output of the command before
said() {
	grep -q -e "$1" "$dir/out" || { echo "not ok: '$1' was not said:"; sed "s/^/    /" "$dir/out"; bad=1; }
}

# start COMMAND...: runs the command behind, until it is ready; its process is $pid
start() {
	: >"$dir/log"
	"$@" >"$dir/log" 2>&1 &
	pid=$!
	tries=0
	until grep -q 'ready:' "$dir/log"; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "not ok: not ready: $*"
			sed 's/^/    /' "$dir/log"
			exit 1
		fi
		sleep 0.05
	done
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	code=$?
	pid=
	[ $code -eq 0 ] || { echo "not ok: exit $code"; sed 's/^/    /' "$dir/log"; bad=1; }
}

# tell ARG...: a command that says nothing where it is well
tell() {
	"$suture" handoff "$@" >"$dir/out" 2>&1 && [ ! -s "$dir/out" ] || { echo "not ok: $*"; sed "s/^/    /" "$dir/out"; bad=1; }
}

# --- wrong settings: each is named, with what is expected; nothing is opened

(umask 077; "$suture" handoff key >"$dir/key"; "$suture" handoff key --slot 1 >"$dir/key1"; echo '0 abcd' >"$dir/short"; : >"$dir/empty")
cat "$dir/key" "$dir/key" >"$dir/twice"
chmod 600 "$dir/twice"
cp "$dir/key" "$dir/open"
chmod 640 "$dir/open"

# front PATTERN ARG...: refused with 2, and says so; back: the same of an agent
front() {
	front_what=$1
	shift
	expect 2 err "handoff front: $front_what" "$suture" handoff front --client if:lo "$@"
}

back() {
	back_what=$1
	shift
	expect 2 err "handoff back: $back_what" "$suture" handoff back --if if:lo --origin 192.0.2.10:80 "$@"
}

vip="--vip 192.0.2.10:80"
one="$vip --backend web1=192.0.2.21:80"
agent="$vip --backend web1=192.0.2.21:80,agent=192.0.2.21:4510"
expect 2 err '--client PORT is missing' "$suture" handoff front $one
expect 2 err "--client: 'eth0' is not a port: a network interface is if:eth0" "$suture" handoff front --client eth0 $one
front '--vip ADDR:PORT is missing'
front '--backend NAME=ADDR:PORT is missing' $vip
front '--client and --backend-port are the same port' --backend-port if:lo $one
for a in 192.0.2.10 192.0.2.10:0 192.0.2.10:70000 2001:db8::1:80 '[2001:db8::1]' www.example.org:80; do
	front "--vip: '.*' is no address with a port, as 192.0.2.10:80 or \[2001:db8::10\]:80" --vip "$a"
done
front "--vip: '0.0.0.0:80': no host can have this address" --vip 0.0.0.0:80
front "--vip: '192.0.2.10:80' is given twice" $vip $vip
front "--backend: 'web1': expected NAME=ADDR:PORT, as web1=192.0.2.21:80" $vip --backend web1
front '--backend web1: the address is missing' $vip --backend web1=
for a in 192.0.2.21 192.0.2.21:0 2001:db8::2:80 weight=5; do
	front "--backend web1: '$a': expected an address with a port" $vip --backend "web1=$a"
done
front "--backend web1: '224.0.0.1:80': no host can have this address" $vip --backend web1=224.0.0.1:80
front "--backend web1: '192.0.2.10:80': this is an origin's address" $vip --backend web1=192.0.2.10:80
front "--backend web1: '192.0.2.22:80': one address of each family is enough" $vip --backend web1=192.0.2.21:80,192.0.2.22:80
front "--backend: 'web1' is given twice; its other address goes behind the first one" $one --backend 'web1=[2001:db8::21]:80'
front "--backend web1: 'weigth=1': expected .* weight=0 to 1000" $vip --backend web1=192.0.2.21:80,weigth=1
front "--backend web1: 'rungs=jump': expected .*rungs=adopt+shift+splice" $vip --backend web1=192.0.2.21:80,rungs=jump
front '--backend web1: without agent=ADDR:PORT it can only be spliced' $vip --backend web1=192.0.2.21:80,rungs=adopt
front '--backend web2: web1 has this agent already' $agent --backend web2=192.0.2.22:80,agent=192.0.2.21:4510
front '--key-file FILE is missing: .*(insecure-no-key accepts that)' $agent
front '--key-file .*: No such file' $agent --key-file "$dir/nowhere"
front '--key-file .*: others may read or write it: chmod 600' $agent --key-file "$dir/open"
front '--key-file .*: line 1: expected a key of 64 hexadecimal digits' $agent --key-file "$dir/short"
front '--key-file .*: line 2: this slot has a key already' $agent --key-file "$dir/twice"
front '--key-file .*: there is no key in it' $agent --key-file "$dir/empty"
front '--key-file .*only one of them' $agent --key-file "$dir/key" --insecure-no-key
front "--agents-from: '2001:db8::5' cannot reach the agent of web1" $agent --key-file "$dir/key" --agents-from 2001:db8::5
front "--route '': a route needs what it matches, and back ends$" $one --route ''
front "--route 'default': a route needs back ends behind what it matches$" $one --route default
front '--route .*: no back end has this name: "web9"' $one --route 'default web9'
front '--route .*: a name is missing in the list of back ends' $one --route 'default web1,'
front '--route .*: there is a default already' $one --route 'default web1' --route 'default web1'
front '--route .*: expected back ends; methods in front of a path are in capitals' $one --route 'get /x web1'
front '--route .*: a path is matched without its query' $one --route '/x?y=1 web1'
front '--route .*: a host is matched without its port' $one --route 'www.example.org:80/x web1'
front '--route .*: "by" what? source, header NAME, least or turn; not: "hash"' $one --route '/x web1 by hash'
front '--route .*: "at" needs origins, as :443, 192.0.2.10:443 or \[2001:db8::10\]:443, not: "\*"' $one --route 'at * web1'
front '--route .*: no origin (vip) has this port: ":443"' $one --route 'at :443 * web1'
front '--route .*: there is no such origin (vip): "192.0.2.11:80"' $one --route 'at :80,192.0.2.11:80 * web1'
front '--route .*: a route needs what it matches, and back ends$' $one --route 'at :80'
front '--route .*: one of these origins has a default already' $one --route 'at :80 default web1' --route 'at 192.0.2.10:80 default web1'
front "--rungs: 'jump': expected adopt, shift and splice joined by +" $one --rungs jump
front "--own: 'x' is no address, as 192.0.2.2" $one --own x
front "--own: '192.0.2.3': one of each family is enough" $one --own 192.0.2.2 --own 192.0.2.3
front "--own-ports: '9-3' is not valid" $one --own-ports 9-3
front "--check-path: 'up' is no path, as /health" $one --check-path up
front "--check-interval: '1' is not a time with its unit" $one --check-interval 1
front "--max-flows: '2000000' is out of range" $one --max-flows 2000000
front "--plane: 'dpdk' is not one of bpf, user" $one --plane dpdk

listen="--listen 127.0.0.1:4510 --insecure-no-key"
back '--listen ADDR:PORT is missing' --front fe=192.0.2.2 --insecure-no-key
back "--listen: '127.0.0.1' is no address with a port, as 192.0.2.21:4510" --listen 127.0.0.1 --front fe=192.0.2.2
back '--front NAME=ADDR is missing' $listen
back "--front: 'fe': expected NAME=ADDR or NAME=ADDR:PORT" $listen --front fe
back "--front: 'fe' is given twice" $listen --front fe=192.0.2.2 --front fe=192.0.2.3
back '--front: fe and ff speak from the same address' $listen --front fe=192.0.2.2 --front ff=192.0.2.2
back "--front: fe cannot reach '127.0.0.1:4510'" $listen --front fe=2001:db8::2
back "--origin: '80': expected ADDR:PORT or PORT=ADDR:PORT" $listen --front fe=192.0.2.2 --origin 80
back '--origin: 192.0.2.10:80 is given twice' $listen --front fe=192.0.2.2 --origin 192.0.2.10:80
back '--origin: no host can have the address 224.0.0.1:80' $listen --front fe=192.0.2.2 --origin 224.0.0.1:80
back "--host-addr: 'x' is no address" $listen --front fe=192.0.2.2 --origin 80=192.0.2.11:80 --host-addr x
back '--host: only with --plane user' $listen --front fe=192.0.2.2 --host if:eth1
back '--host PORT is missing' $listen --front fe=192.0.2.2 --plane user
back "--cgroup: '/' is no control group" $listen --front fe=192.0.2.2 --cgroup /
back '--journal: an agent keeps none' $listen --front fe=192.0.2.2 --journal "$dir/journal"
back '--max-flows must be 1 to 1048576' $listen --front fe=192.0.2.2 --max-flows 9999999
back '--key-file FILE is missing' --listen 127.0.0.1:4510 --front fe=192.0.2.2

expect 2 err '--control PATH is missing' "$suture" handoff status
expect 1 err 'there is no such socket' "$suture" handoff status --control "$dir/none"
expect 1 err 'that is no socket' "$suture" handoff drain --control "$dir/key" web1
expect 2 err 'too few arguments: expected --control PATH BACKEND N' "$suture" handoff weight --control "$dir/none" web1
expect 2 err "'a b' is no name" "$suture" handoff rung --control "$dir/none" 'a b' adopt
expect 2 err "--slot: '2' is out of range: 0 to 1" "$suture" handoff key --slot 2
expect 2 err '--client PORT of a front end, or --if PORT of a back end' "$suture" handoff remove
expect 2 err "--vip: 'x' is no address with a port" "$suture" handoff doctor --client if:lo --vip x
[ ! -e "$dir/journal" ] || { echo 'not ok: a journal was made'; bad=1; }

# --- settings read anew

# conf TEXT: the file; nobody is asked whether it serves
conf() {
	printf 'handoff-front {\nclient = "qemu:listen:unix:%s/a" plane = user check-interval = 0\nvip = {"192.0.2.10:80", "[2001:db8::10]:80"}\n%s\n}\n' "$dir" "$1" >"$dir/conf"
}

reload="$suture reload --control $dir/c"
ask="$suture handoff"
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80", "web2=192.0.2.22:80"}'
start "$suture" handoff front --config "$dir/conf" --control "$dir/c" --state "$dir/state"
expect 0 out '^web1 192.0.2.21:80 up weight=1 conns=0 rung=none' $ask status --control "$dir/c"
said '^web1 \[2001:db8::21\]:80 up weight=1'
said '^web2 192.0.2.22:80 up weight=1'
tell weight --control "$dir/c" web2 9
expect 0 out '^0 settings changed$' $reload
expect 0 out '^web2 192.0.2.22:80 up weight=1 ' $ask status --control "$dir/c"
tell drain --control "$dir/c" web1
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80,weight=3", "web3=192.0.2.23:80"} route = {"*.example web3", "default web1,web3 by source"} check-path = "/up" check-rise = 5 rungs = splice'
expect 0 out '^5 settings changed$' $reload
said '^backend: .* -> .*web1=192.0.2.21:80,\[2001:db8::21\]:80,weight=3'
said '^route:  -> \*\.example web3,default web1,web3 by source$'
said '^check-path:  -> /up$'
said '^rungs: adopt+shift+splice -> splice$'
expect 0 out '^web3 192.0.2.23:80 up weight=1 ' $ask status --control "$dir/c"
said '^web1 192.0.2.21:80 draining weight=3 '
if grep -q '^web2' "$dir/out"; then
	echo 'not ok: web2 is still there'
	bad=1
fi

# A rule of one origin; of one that is not there.
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80,weight=3", "web3=192.0.2.23:80"} route = {"at [2001:db8::10]:80 * web1", "default web1,web3 by source"} check-path = "/up" check-rise = 5 rungs = splice'
expect 0 out '^1 setting changed$' $reload
conf 'backend = {"web1=192.0.2.21:80,weight=5"}
route = "at :81 * web1"'
expect 1 err "$dir/conf:5: route .*: no origin (vip) has this port: \":81\"; nothing is changed" $reload
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80,weight=3", "web3=192.0.2.23:80"} route = {"*.example web3", "default web1,web3 by source"} check-path = "/up" check-rise = 5 rungs = splice'
expect 0 out '^1 setting changed$' $reload

# A file that is wrong changes nothing, and what is wrong is named with its line.
expect 0 out '^0 settings changed$' $reload
conf 'backend = {"web1=192.0.2.21:80,weight=5",
"web3=192.0.2.23"}'
expect 1 err "$dir/conf:5: backend web3: '192.0.2.23': expected an address with a port.*; nothing is changed" $reload
conf 'backend = {"web1=192.0.2.21:80,weight=5"}
route = {"default web1",
"*.example web1,web9"}'
expect 1 err "$dir/conf:6: route .*: no back end has this name: \"web9\"; nothing is changed" $reload
conf 'backend = {"web1=192.0.2.21:80", "web1=192.0.2.22:80"}'
expect 1 err "$dir/conf:4: backend: 'web1' is given twice.*; nothing is changed" $reload
conf 'backend = "web1=192.0.2.21:80"
check-path = "up"'
expect 1 err "$dir/conf:5: check-path: 'up'.*; nothing is changed" $reload
conf 'backend = "web1=192.0.2.21:80,agent=192.0.2.21:4510"'
expect 1 err 'key-file FILE is missing.*; nothing is changed' $reload
expect 0 out '^web1 192.0.2.21:80 draining weight=3 ' $ask status --control "$dir/c" web1
said '^web1 \[2001:db8::21\]:80 draining weight=3 '

# What is read at the start.
printf 'handoff-front { client = "qemu:listen:unix:%s/a" plane = user check-interval = 0 vip = "192.0.2.11:80" backend = "web1=192.0.2.21:80" }' "$dir" >"$dir/conf"
expect 1 err 'cannot change while it runs: vip; nothing is changed (a restart takes it)' $reload

# What was told outlives the process, and counts more than the file then.
tell weight --control "$dir/c" web3 7
stop
conf 'backend = {"web1=192.0.2.21:80,weight=3", "web3=192.0.2.23:80"}'
start "$suture" handoff front --config "$dir/conf" --control "$dir/c" --state "$dir/state" --key-file "$dir/key"
expect 0 out '^web1 192.0.2.21:80 draining weight=3 ' $ask status --control "$dir/c"
said '^web3 192.0.2.23:80 up weight=7 '

# Keys lie in a file of their own, whose name stays.
expect 0 out "^0 settings changed\$" $reload
cat "$dir/key1" >>"$dir/key"
expect 0 out "^0 settings changed; the keys have changed, and are read anew\$" $reload
expect 0 out "^0 settings changed\$" $reload
chmod 644 "$dir/key"
expect 1 err "others may read or write it.*; nothing is changed" $reload
stop

# What changes is said in the log, once: a back end that nobody serves, an agent that nobody is.
logged() {
	tries=0
	until grep -q -e "$1" "$dir/log"; do
		tries=$((tries + 1))
		[ $tries -le 200 ] && sleep 0.05 && continue
		echo "not ok: '$1' is not in the log:"
		sed "s/^/    /" "$dir/log"
		bad=1
		return
	done
}

chmod 600 "$dir/key"
conf "backend = \"web1=127.0.0.1:1,agent=127.0.0.1:1\""
sed "s/check-interval = 0/check-interval = 0.1s/" "$dir/conf" >"$dir/conf2"
start "$suture" handoff front --config "$dir/conf2" --control "$dir/c" --key-file "$dir/key"
logged "^suture: agent web1: lost: it does not answer\$"
logged "^suture: backend web1 127.0.0.1:1 is down: refused\$"
stop
[ "$(grep -c "web1.*is down\\|lost" "$dir/log")" = 2 ] || { echo "not ok: said more than once:"; cat "$dir/log"; bad=1; }

[ $bad -eq 0 ] && echo 'ok'
exit $bad

#!/usr/bin/env bash
# The example on real traffic: the test passes, fails on a new dependency, and passes after the dependency is accepted.
# It works on a copy of the tree. As a normal user it uses sudo to run the test binary; the files stay the user's.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
"$tree/.ci/need" record
unset CI NETZERO NETZERO_UPDATE # in CI nothing is accepted

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -C "$tree" --exclude=./.git --exclude=./.cache --exclude=./bin -cf - . | tar -C "$copy" -xf -
cd "$copy/examples/httpservice"
policy=testdata/netzero/TestQuote.yaml

step() { printf '\n== %s\n' "$*"; }

# try runs the example's test, and fails unless it ends as it should: "ok" or "FAIL".
try() {
	local want=$1 got=ok
	shift
	echo "\$ go test ${*:-.}"
	go test -count=1 -exec "'$tree/.ci/as-root'" . "$@" | tee "$copy/output" || got=FAIL
	if [ $got != "$want" ]; then
		echo "demo: the test ended with $got, not with $want" >&2
		exit 1
	fi
}

step "1. The test quotes a price, with two dependencies that the committed policy allows: green."
try ok

step "2. A change adds a third dependency to the service."
cp httpservice_test.go "$copy/before.go"
sed -i 's|// Discounts:|Discounts:|' httpservice_test.go
diff -U 1 --label before --label after "$copy/before.go" httpservice_test.go || true

step "3. The policy does not allow it: red."
try FAIL
grep -q 'httpservice -> api.discounts.test:443/TCP' "$copy/output"

step "4. The change is intended: -update accepts it ..."
cp $policy "$copy/before.yaml"
try ok -update

step "   ... as a change of the policy, to be reviewed and applied with kubectl."
diff -U 1 --label before --label after "$copy/before.yaml" $policy && exit 1
try ok

step "5. The dependency and the policy are reverted: green again."
cp "$copy/before.go" httpservice_test.go
cp "$copy/before.yaml" $policy
try ok

echo
echo "demo: passed; it worked on a copy, your tree is unchanged"

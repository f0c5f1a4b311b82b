package check

import (
	"strings"
	"testing"
)

func TestRegister_OneFileTwoTests(t *testing.T) {
	const file = "/shop/one.yaml"
	pkg := Package{Dir: "/shop", Path: "example.com/shop"}
	own := func(r *Register, test string, update bool) (func(), error) {
		_, release, err := r.Begin(file, Member{Test: test, Package: pkg, Updates: update})
		return release, err
	}
	share := func(r *Register, test string) (func(), error) {
		_, release, err := r.Begin(file, Member{Test: test, Package: pkg, Shares: true})
		return release, err
	}
	const belongs = "golden file one.yaml belongs to TestA: give one of the two tests another with netzerotest.Golden"
	for _, row := range []struct {
		reason        string
		first, second func(*Register) (func(), error)
		ends          bool   // the first test, before the second begins
		want          string // the second test's error
	}{
		{
			"one after the other", func(r *Register) (func(), error) { return own(r, "TestA", false) },
			func(r *Register) (func(), error) { return own(r, "TestB", false) }, true, "",
		},
		{
			"at the same time", func(r *Register) (func(), error) { return own(r, "TestA", false) },
			func(r *Register) (func(), error) { return own(r, "TestB", false) }, false, belongs,
		},
		{
			"both update", func(r *Register) (func(), error) { return own(r, "TestA", true) },
			func(r *Register) (func(), error) { return own(r, "TestB", true) }, true, belongs,
		},
		{
			"a test that runs again", func(r *Register) (func(), error) { return own(r, "TestA", true) },
			func(r *Register) (func(), error) { return own(r, "TestA", true) }, true, "",
		},
		{
			"a test that calls Record twice", func(r *Register) (func(), error) { return own(r, "TestA", false) },
			func(r *Register) (func(), error) { return own(r, "TestA", false) }, false,
			"called twice in this test: one recording has all flows",
		},
		{
			"two tests share the file", func(r *Register) (func(), error) { return share(r, "TestA") },
			func(r *Register) (func(), error) { return share(r, "TestB") }, false, "",
		},
		{
			"a test that shares twice", func(r *Register) (func(), error) { return share(r, "TestA") },
			func(r *Register) (func(), error) { return share(r, "TestA") }, false,
			"called twice in this test: one recording has all flows",
		},
		{
			"the second does not share", func(r *Register) (func(), error) { return share(r, "TestA") },
			func(r *Register) (func(), error) { return own(r, "TestB", false) }, true,
			"golden file one.yaml is shared by other tests: give this one the option Shared too, or a file of its own",
		},
		{
			"the first does not share", func(r *Register) (func(), error) { return own(r, "TestA", false) },
			func(r *Register) (func(), error) { return share(r, "TestB") }, false,
			"golden file one.yaml is shared, but not by TestA: give all of its tests the option Shared",
		},
		{
			"the first has updated a file of its own", func(r *Register) (func(), error) { return own(r, "TestA", true) },
			func(r *Register) (func(), error) { return share(r, "TestB") }, true,
			"golden file one.yaml is shared, but not by TestA: give all of its tests the option Shared",
		},
	} {
		var r Register
		release, err := row.first(&r)
		if err != nil {
			t.Fatalf("%s: %v", row.reason, err)
		}
		if row.ends {
			release()
		}
		got := ""
		if _, err := row.second(&r); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, row.want) || (got == "") != (row.want == "") {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

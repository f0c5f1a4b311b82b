package gotest

import "testing"

func TestFailures_OfSubtests(t *testing.T) {
	var f Failures
	if f.Any() {
		t.Error("a test has failed before the first did")
	}
	f.Add("TestShop/pay")
	for test, want := range map[string]bool{
		"TestShop": true, "TestShop/pay": true, "TestShop/pay/card": false, "TestShop/p": false, "TestShopping": false,
	} {
		if got := f.Include(test); got != want {
			t.Errorf("%s: %v, want %v", test, got, want)
		}
	}
	f.Forget("TestSho")
	if !f.Any() {
		t.Error("another test was forgotten")
	}
	f.Forget("TestShop")
	if f.Any() || f.Include("TestShop/pay") {
		t.Error("a subtest is not forgotten with its test")
	}
}

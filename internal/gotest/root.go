package gotest

import (
	"reflect"
	"unsafe"
)

// AtEnd returns a function that registers another one, which package testing calls when all tests that run together
// with a test (*testing.T) have ended, or all benchmarks with a *testing.B. test may also be a struct that embeds a
// testing.TB, or a pointer to one. AtEnd returns nil if that end is not known.
func AtEnd(test any) func(func()) {
	v := reflect.ValueOf(test)
	for {
		inner := reflect.Indirect(v)
		if inner.Kind() == reflect.Struct {
			inner = inner.FieldByName("TB")
		}
		if inner.Kind() != reflect.Interface || inner.Type().String() != "testing.TB" {
			break
		}
		v = inner.Elem()
	}
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	kind := v.Elem().Type().String()
	if kind != "testing.T" && kind != "testing.B" {
		return nil
	}
	common := v.Elem().FieldByName("common")
	if !common.IsValid() || !common.CanAddr() {
		return nil
	}
	root := reflect.NewAt(common.Type(), unsafe.Pointer(common.UnsafeAddr()))
	for {
		parent := root.Elem().FieldByName("parent")
		if !parent.IsValid() || parent.Type() != root.Type() {
			return nil
		}
		if parent.IsNil() {
			break
		}
		root = reflect.NewAt(common.Type(), parent.UnsafePointer())
	}
	// The root of fuzz tests has no end, and no barrier for parallel tests.
	barrier := root.Elem().FieldByName("barrier")
	if kind == "testing.T" && (!barrier.IsValid() || barrier.Kind() != reflect.Chan || barrier.IsNil()) {
		return nil
	}
	cleaner, _ := root.Interface().(interface{ Cleanup(func()) })
	if cleaner == nil {
		return nil
	}
	return cleaner.Cleanup
}

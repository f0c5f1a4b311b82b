package policy

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CoversSelector reports whether the wide selector requires no more than the narrow one. nil selects all pods.
func CoversSelector(wide, narrow *metav1.LabelSelector) bool {
	if IsEmpty(wide) {
		return true
	}
	if narrow == nil {
		return false
	}
	for key, value := range wide.MatchLabels {
		if v, has := narrow.MatchLabels[key]; !has || v != value {
			return false
		}
	}
	for _, e := range SortedSelector(*wide).MatchExpressions {
		if !slices.ContainsFunc(SortedSelector(*narrow).MatchExpressions, func(f metav1.LabelSelectorRequirement) bool {
			return equality.Semantic.DeepEqual(e, f)
		}) {
			return false
		}
	}
	return true
}

// CoversRange reports whether a range of addresses minus its exceptions contains another range minus its own.
func CoversRange(wide string, wideExcept []string, narrow string, narrowExcept []string) bool {
	w, err := netip.ParsePrefix(wide)
	n, err2 := netip.ParsePrefix(narrow)
	if err != nil || err2 != nil || !ContainsPrefix(w, n) {
		return false
	}
	for _, text := range wideExcept {
		e, err := netip.ParsePrefix(text)
		excepted := func(text string) bool {
			f, err := netip.ParsePrefix(text)
			return err == nil && ContainsPrefix(f, e)
		}
		if err != nil || e.Overlaps(n) && !slices.ContainsFunc(narrowExcept, excepted) {
			return false
		}
	}
	return true
}

// ContainsPrefix reports whether a range contains all addresses of another.
func ContainsPrefix(wide, narrow netip.Prefix) bool {
	return wide.Bits() <= narrow.Bits() && wide.Contains(narrow.Addr())
}

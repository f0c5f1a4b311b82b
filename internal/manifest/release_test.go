package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelectorLabels_OfLivePods(t *testing.T) {
	for _, row := range []struct {
		reason              string
		live, pod, selector map[string]string
	}{
		{reason: "none"},
		{
			"labels of one pod, of a release and of a tool",
			map[string]string{
				"app": "web", "pod-template-hash": "7848d6c4d5", "statefulset.kubernetes.io/pod-name": "web-0",
				"helm.sh/chart": "web-1.2.3", "app.kubernetes.io/managed-by": "Helm",
			},
			map[string]string{"app": "web", "helm.sh/chart": "web-1.2.3", "app.kubernetes.io/managed-by": "Helm"},
			map[string]string{"app": "web"},
		},
		{
			"nothing but a release",
			map[string]string{"version": "v2", "pod-template-hash": "7848d6c4d5"},
			map[string]string{"version": "v2"}, map[string]string{"version": "v2"},
		},
	} {
		if diff := cmp.Diff(row.pod, PodLabels(row.live)); diff != "" {
			t.Errorf("%s: of pods (-want +got):\n%s", row.reason, diff)
		}
		if diff := cmp.Diff(row.selector, SelectorLabels(row.live)); diff != "" {
			t.Errorf("%s: of selectors (-want +got):\n%s", row.reason, diff)
		}
	}
}

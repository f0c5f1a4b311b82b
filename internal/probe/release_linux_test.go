package probe

import (
	"errors"
	"strings"
	"testing"
)

func TestRelease_BelowFloorIsRefused(t *testing.T) {
	for release, old := range map[string]bool{
		"5.10.0-46-cloud-amd64": false, "6.18.44-fc": false, "7.3-rc7": false, "10.0.1": false, "custom": false,
		"5.9.16": true, "4.19.0-27-amd64": true, "3.10.0-1160.el7": true,
	} {
		err := CheckRelease(release)
		if errors.Is(err, ErrNotSupported) != old {
			t.Errorf("%s: %v", release, err)
		}
		if old && !strings.Contains(err.Error(), release+" is older than 5.10") {
			t.Errorf("%q does not contain which kernel is too old", err)
		}
	}
	if _, err := Release(); err != nil {
		t.Error(err)
	}
}

// Package controlplane names the versions of the control plane that package cluster starts: its commands are
// kube-apiserver and etcd as their projects publish them, each from a main function of three lines.
//
// It is a separate module because the API server replaces its staging modules: no other module should need to do that.
package controlplane

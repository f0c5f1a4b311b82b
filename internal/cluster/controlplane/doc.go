// Package controlplane pins the versions of the control plane that package cluster starts. Its commands are
// kube-apiserver and etcd as their projects publish them, each with a main function of three lines.
//
// It is a separate module because the API server replaces its staging modules, and no other module should have to.
package controlplane

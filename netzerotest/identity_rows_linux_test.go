package netzerotest

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Values that several rows use.
var (
	inWeb = []Option{Namespace("web")}

	// shopScene is a scene with the test process in namespace web, and the manifests of a shop.
	shopScene = func(dials ...dial) scene {
		return scene{options: inWeb, manifests: manifesttest.Shop, dials: dials}
	}
	bareScene = func(dials ...dial) scene { return scene{dials: dials} }

	redis = sceneContainer{alias: "redis", exposes: []uint16{6379}}
	ftp   = sceneContainer{alias: "ftp", image: "shop/ftp", exposes: []uint16{21}}

	waitStack = []flow.Frame{{
		Function: "github.com/testcontainers/testcontainers-go/wait.(*HostPortStrategy).WaitUntilReady",
		File:     "host_port.go", Line: 1,
	}}
)

// public is the address to which names in these rows resolve.
const public = "203.0.113.7"

// lookedUp is a dial of a name that DNS resolved to an address.
func lookedUp(name string, port uint16) dial { return dial{name: name, addr: public, port: port} }

// identityRows is the table of docs/identity.md.
var identityRows = slices.Concat(
	loopbackRows, containerRows, portRows, callerRows, peerRows, processRows,
	nameRows, apiServerRows, addressRows, podRows,
)

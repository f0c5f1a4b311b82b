package netzerotest

// asSeen returns what a policy sees of a flow.
func asSeen(f Flow) Flow {
	return Flow{
		Source: f.Source.Identity(), Destination: f.Destination.Identity(), Port: f.Port, Protocol: f.Protocol,
		ICMPType: f.ICMPType, Lookup: f.Lookup,
	}
}

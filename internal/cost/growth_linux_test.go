package cost

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// remote is a host of the lab that refuses every connection.
var remote = netip.MustParseAddr("203.0.113.7")

// A dimension is what there may be more of.
type dimension struct {
	name   string
	counts []int
	// use opens flows with so many of it.
	use func(t *testing.T, n int, rec *netzerotest.Recording)
}

var dimensions = []dimension{
	{"flows", []int{10, 100, 1000, 5000, 10000, 20000}, openFlows},
	{"parallel tests", []int{1, 10, 50, 100, 200}, runTests},
	{"child processes", []int{1, 10, 100, 300}, runChildren},
	{"containers", []int{1, 2, 4, 8, 16}, runContainers},
}

var (
	growsBy = flag.String("grow", "flows", "what TestGrow has many of")
	growsTo = flag.Int("n", 10, "how many TestGrow has")
)

// mapsPrefix precedes the bytes of the maps of this process.
const mapsPrefix = "cost: bytes of maps: "

// TestGrow is a test with many flows, parts, processes or containers.
func TestGrow(t *testing.T) {
	if os.Getenv(labVariable) == "" {
		t.Log("TestGrowth runs it, in a lab")
		return
	}
	rec := netzerotest.Record(t, netzerotest.Workload("work"), netzerotest.Golden("testdata/anything.yaml"))
	for _, d := range dimensions {
		if d.name == *growsBy {
			d.use(t, *growsTo, rec)
			bytes, err := mapBytes()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s%d\n", mapsPrefix, bytes)
			return
		}
	}
	t.Fatalf("-grow %s is no dimension", *growsBy)
}

// dialRefused opens a connection that the remote host refuses.
func dialRefused(port int) {
	conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(remote, uint16(port)).String(), time.Second)
	if err == nil {
		conn.Close()
	}
}

func openFlows(_ *testing.T, n int, _ *netzerotest.Recording) {
	for port := range n {
		dialRefused(1024 + port)
	}
}

func runTests(t *testing.T, n int, _ *netzerotest.Recording) {
	t.Run("all", func(t *testing.T) {
		for i := range n {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				netzerotest.Record(t, netzerotest.Workload("work"), netzerotest.Shared("testdata/parts.yaml"))
				dialRefused(1024 + i)
			})
		}
	})
}

func runChildren(t *testing.T, n int, _ *netzerotest.Recording) {
	for i := range n {
		script := fmt.Sprintf("exec 2>/dev/null; echo >/dev/tcp/%s/%d; true", remote, 1024+i)
		if out, err := exec.Command("bash", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func runContainers(t *testing.T, n int, rec *netzerotest.Recording) {
	image := testenv.Image(t, "peer")
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c, err := testcontainers.Run(t.Context(), image, rec.As(fmt.Sprintf("peer-%d", i)),
				testcontainers.WithCmd("listen", ":7070", "then", "try", "127.0.0.1:1", "then", "wait"),
				testcontainers.WithWaitStrategy(wait.ForLog("refused")))
			testcontainers.CleanupContainer(t, c)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// mapBytes returns the memory of the eBPF maps that this process holds.
func mapBytes() (sum uint64, err error) {
	entries, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		return 0, err
	}
	ids := make(map[uint64]bool)
	for _, entry := range entries {
		text, err := os.ReadFile("/proc/self/fdinfo/" + entry.Name())
		if err != nil {
			continue // closed meanwhile
		}
		var id, bytes uint64
		for line := range strings.Lines(string(text)) {
			_, _ = fmt.Sscanf(line, "map_id: %d", &id)
			_, _ = fmt.Sscanf(line, "memlock: %d", &bytes)
		}
		if id != 0 && !ids[id] {
			ids[id] = true
			sum += bytes
		}
	}
	return sum, nil
}

// A measurement is the cost of one run of TestGrow.
type measurement struct {
	Seconds  float64
	Maps     float64 // bytes
	Resident float64 // bytes of the process, at most
}

// runGrow runs TestGrow as another process in the lab.
func runGrow(t *testing.T, lab *testnet.Net, d dimension, n int, netzero string) measurement {
	t.Helper()
	args := []string{
		"-test.run", "^TestGrow$", "-test.v", "-test.parallel", "1000", "-grow", d.name, "-n", fmt.Sprint(n),
	}
	cmd := lab.Command(t.Context(), self(t), args...)
	if d.name == "containers" { // Docker publishes no ports in a lab
		cmd = exec.CommandContext(t.Context(), self(t), args...)
	}
	cmd.Env = append(cmd.Environ(), "NETZERO="+netzero, labVariable+"=1")
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	m := measurement{Seconds: time.Since(begin).Seconds()}
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	m.Resident = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024
	for line := range strings.Lines(string(out)) {
		_, _ = fmt.Sscanf(line, mapsPrefix+"%f", &m.Maps)
	}
	if recorded := netzero == "require"; recorded != (m.Maps > 0) {
		t.Fatalf("%v: recorded %t, with %.0f bytes of maps:\n%s", cmd.Args, recorded, m.Maps, out)
	}
	return m
}

// growth is what recording adds to each count of a dimension: medians.
type growth struct {
	Name   string
	Counts []int
	Added  []measurement
}

// TestGrowth measures what a recording adds, for more and more of everything, and draws it.
func TestGrowth(t *testing.T) {
	lab := testnet.New(t)
	lab.Host(remote.String())
	n, _ := times()
	var all []growth
	for _, d := range dimensions {
		g := growth{Name: d.name}
		for _, count := range d.counts {
			if *output == "" && count != d.counts[0] {
				break
			}
			var seconds, maps, resident []float64
			for range min(n, 3) {
				without, with := runGrow(t, lab, d, count, "off"), runGrow(t, lab, d, count, "require")
				seconds = append(seconds, with.Seconds-without.Seconds)
				maps = append(maps, with.Maps)
				resident = append(resident, with.Resident-without.Resident)
			}
			g.Counts = append(g.Counts, count)
			g.Added = append(g.Added, measurement{median(seconds), median(maps), median(resident)})
		}
		all = append(all, g)
	}
	figure(t, "maps", all[0].Added[0].Maps/(1<<20))
	figure(t, "resident", all[0].Added[0].Resident/(1<<20))
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "growth.json", string(text))
	picture, err := pictureOf(all)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "growth.svg", string(picture))
}

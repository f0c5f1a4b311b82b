package scrub

import (
	"strings"
	"testing"
)

func TestCommand_Secrets(t *testing.T) {
	const secret = "hunter2x"
	for _, line := range []string{
		"psql --password=hunter2x -h db",
		"psql --password hunter2x -h db",
		"app --db-password 'hunter2x two'",
		"app -password hunter2x",
		`env PGPASSWORD=hunter2x psql`,
		`sh -c 'PGPASSWORD=hunter2x psql -h db'`,
		`sh -c 'export API_KEY="hunter2x"; run'`,
		"app --api-key hunter2x",
		"app --apikey=hunter2x",
		"app --client-secret=hunter2x --id 7",
		"app -D javax.net.ssl.keyStorePassword=hunter2x",
		"app AWS_SECRET_ACCESS_KEY=hunter2x",
		"curl -u admin:hunter2x https://api.example.com",
		"curl --user=admin:hunter2x https://api.example.com",
		"curl -H 'Authorization: Bearer hunter2x' https://api.example.com",
		"curl -H 'X-Api-Key: hunter2x' https://api.example.com",
		"curl -H 'Cookie: sid=hunter2x' https://api.example.com",
		"curl https://user:hunter2x@api.example.com/",
		"curl https://hunter2x@api.example.com/",
		"curl 'https://api.example.com/?page=1&access_token=hunter2x&n=2'",
		"psql postgres://shop:hunter2x@db:5432/shop",
		"app amqp://:hunter2x@mq",
		"redis-cli -h cache -a hunter2x ping",
		"mysqladmin ping -uroot -phunter2x",
		"sshpass -p hunter2x ssh host",
		"sshpass -phunter2x ssh host",
		"app --auth hunter2x", "app --auth=hunter2x", "app --auth-header hunter2x",
		"docker login -u me --password hunter2x",
		"app $'--token=hunter2x\\n'",
	} {
		if got := Command(line); strings.Contains(got, secret) || !strings.Contains(got, Mark) {
			t.Errorf("%s\nbecomes %s", line, got)
		}
	}
}

func TestCommand_Tokens(t *testing.T) {
	for _, token := range []string{
		"AKIAIOSFODNN7EXAMPLE", "ghp_" + strings.Repeat("a1B", 12), "glpat-" + strings.Repeat("x", 20),
		"xoxb-1234567890-abcdef", "sk_live_" + strings.Repeat("4", 24), "npm_" + strings.Repeat("q", 36),
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
	} {
		if got := Command("deploy " + token + " now"); got != "deploy *** now" {
			t.Errorf("%s stays: %s", token, got)
		}
	}
	const key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIB\\n-----END RSA PRIVATE KEY-----"
	if got := Command("ssh-add $'" + key + "'"); strings.Contains(got, "MIIB") {
		t.Errorf("a key stays: %s", got)
	}
}

// What is no secret helps to find the process.
func TestCommand_KeepsTheRest(t *testing.T) {
	for _, line := range []string{
		"",
		"sh -c 'sleep 1; echo done'", "postgres: checkpointer", "curl -fsS https://api.example.com:8443/v1/items?page=2",
		"nginx -g 'daemon off;'", "redis-server *:6379", "java -Xmx512m -jar /app/shop.jar --port 8080",
		"pg_isready -U shop -d shop -p 5432", "mysqladmin ping -h db --port 3306", "git@github.com:example/shop.git",
		"/tmp/go-build1/b001/shop.test -test.timeout=10m0s", "ssh -p 22 host", "mail user@example.com",
		"git log --author=somebody",
	} {
		if got := Command(line); got != line {
			t.Errorf("%s\nbecomes %s", line, got)
		}
	}
	if got, want := Command("curl -u admin:x1 https://a:b2@h/?token=c3&n=2 -o out; TOKEN=d4; ls"),
		"curl -u admin:*** https://a:***@h/?token=***&n=2 -o out; TOKEN=***; ls"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

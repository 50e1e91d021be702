package setup_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/gateway"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/channels/setup"
	"github.com/parley-engine/parley/internal/channels/smpp"
	"github.com/parley-engine/parley/internal/channels/twilio"
)

const secrets = "/etc/parley/"

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/channels.md")
	require.NoError(t, err)
	return string(text)
}

// fill writes every file that an example names below secrets, and returns the example
// with their real names.
func fill(t *testing.T, example string) string {
	t.Helper()
	dir := t.TempDir()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, m := range regexp.MustCompile(`"`+secrets+`([a-z.-]+)"`).FindAllStringSubmatch(example, -1) {
		content := []byte("secret\n")
		if strings.HasSuffix(m[1], ".pem") {
			content = certificate
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, m[1]), content, 0o600))
	}
	return strings.ReplaceAll(example, secrets, filepath.ToSlash(dir)+"/")
}

// Every example of the manual can be used as it stands.
func TestTheManualsExamplesOpen(t *testing.T) {
	examples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(manual(t), -1)
	types := map[string]bool{}
	for _, e := range examples {
		path := filepath.Join(t.TempDir(), "channels.json")
		require.NoError(t, os.WriteFile(path, []byte(fill(t, e[1])), 0o600))
		file, err := setup.Read(path)
		require.NoError(t, err, e[1])
		adapters, err := file.Open(setup.Surroundings{Token: "token"})
		require.NoError(t, err, e[1])
		require.Len(t, adapters, len(file.Adapters))
		for _, a := range file.Adapters {
			types[a.Type] = true
		}
	}
	require.Equal(t, map[string]bool{"loopback": true, "http": true, "twilio": true, "smpp": true}, types)
}

func TestTheManualHasEveryField(t *testing.T) {
	text := manual(t)
	for _, config := range []any{setup.File{}, loopback.Config{}, gateway.Config{}, twilio.Config{}, smpp.Config{}} {
		for _, name := range fields(reflect.TypeOf(config)) {
			require.Contains(t, text, "`"+name+"`", "%T", config)
		}
	}
}

// fields are the names in JSON of a type and what it is made of.
func fields(of reflect.Type) (names []string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return fields(of.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for f := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(f).Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
		names = append(names, fields(of.Field(f).Type)...)
	}
	return names
}

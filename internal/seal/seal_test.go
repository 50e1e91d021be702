package seal_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/seal"
)

func TestASecretIsOpenedWithItsKey(t *testing.T) {
	s := sealer(t, 1)
	for _, secret := range []string{"", "x", "a webhook's secret", "\x00\xff", strings.Repeat("x", seal.MaxSecret)} {
		sealed, err := s.Seal([]byte(secret))
		require.NoError(t, err)
		require.Regexp(t, `^v1\.[A-Za-z0-9_-]+$`, sealed)
		if secret != "" && len(secret) > 3 {
			require.NotContains(t, sealed, secret)
		}
		opened, err := sealer(t, 1).Unseal(sealed)
		require.NoError(t, err)
		require.Equal(t, secret, string(opened))
	}
}

// What is in somebody's log must be opened by every later version.
func TestTheFormatStays(t *testing.T) {
	const sealed = "v1.YZnJJGKVzdFggri6ofglFqzBkEZlEPljkghQmLT2Xh9nVtpjpEQxLuduEbMfzA"
	opened, err := sealer(t, 1).Unseal(sealed)
	require.NoError(t, err)
	require.Equal(t, "a webhook's secret", string(opened))
	again, err := sealer(t, 1).Seal(opened)
	require.NoError(t, err)
	require.Equal(t, sealed, again)
}

func TestTheSameSecretSealsToTheSameText(t *testing.T) {
	once, err := sealer(t, 1).Seal([]byte("secret"))
	require.NoError(t, err)
	twice, err := sealer(t, 1).Seal([]byte("secret"))
	require.NoError(t, err)
	require.Equal(t, once, twice)

	other, err := sealer(t, 1).Seal([]byte("secret2"))
	require.NoError(t, err)
	require.NotEqual(t, once[:19], other[:19], "another secret has another nonce")
	foreign, err := sealer(t, 2).Seal([]byte("secret"))
	require.NoError(t, err)
	require.NotEqual(t, once[:19], foreign[:19], "and under another key too")
}

func TestAnotherKeyDoesNotOpen(t *testing.T) {
	sealed, err := sealer(t, 1).Seal([]byte("secret"))
	require.NoError(t, err)
	_, err = sealer(t, 2).Unseal(sealed)
	require.ErrorIs(t, err, seal.ErrSealed)
}

func TestEveryChangeIsNoticed(t *testing.T) {
	s := sealer(t, 1)
	sealed, err := s.Seal([]byte("a secret"))
	require.NoError(t, err)
	for i := range len(sealed) {
		for _, c := range []byte("A_\n") {
			changed := sealed[:i] + string(c) + sealed[i+1:]
			if changed == sealed {
				continue
			}
			_, err := s.Unseal(changed)
			require.ErrorIs(t, err, seal.ErrSealed, "%q", changed)
		}
		_, err := s.Unseal(sealed[:i])
		require.ErrorIs(t, err, seal.ErrSealed, "cut after %d", i)
	}
	for _, wrong := range []string{sealed + "\n", sealed + "=", sealed + "A", " " + sealed, "v2" + sealed[2:], "plain text", "v1." + base64.RawURLEncoding.EncodeToString(make([]byte, 40))} {
		_, err := s.Unseal(wrong)
		require.ErrorIs(t, err, seal.ErrSealed, "%q", wrong)
	}
}

func TestASecretOverTheLimitIsRefused(t *testing.T) {
	_, err := sealer(t, 1).Seal(make([]byte, seal.MaxSecret+1))
	require.ErrorContains(t, err, "over")
}

func TestAKeyOfAnotherLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		_, err := seal.New(make([]byte, n))
		require.ErrorContains(t, err, "bytes", "%d", n)
	}
}

func TestTheKeyIsCopied(t *testing.T) {
	key := bytes.Repeat([]byte{1}, seal.KeySize)
	s, err := seal.New(key)
	require.NoError(t, err)
	sealed, err := s.Seal([]byte("secret"))
	require.NoError(t, err)
	clear(key)
	again, err := s.Seal([]byte("secret"))
	require.NoError(t, err)
	require.Equal(t, sealed, again)
}

func TestASealerServesManyAtOnce(t *testing.T) {
	s := sealer(t, 1)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			secret := strings.Repeat("x", n)
			sealed, err := s.Seal([]byte(secret))
			if err != nil {
				t.Error(err)
			}
			if opened, err := s.Unseal(sealed); err != nil || string(opened) != secret {
				t.Errorf("%q, %v", opened, err)
			}
		})
	}
	all.Wait()
}

// sealer has a key of 32 times the same byte.
func sealer(t *testing.T, b byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{b}, seal.KeySize))
	require.NoError(t, err)
	return s
}

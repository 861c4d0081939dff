package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
)

// The algorithms that tokens may be signed with.
var (
	rsaAlgorithms    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	publicAlgorithms = append(append([]string{}, rsaAlgorithms...), "ES256", "ES384", "ES512", "EdDSA")
	// Algorithms are all that the config may name.
	Algorithms = append(append([]string{}, publicAlgorithms...), secretAlgorithms...)
)

// SharedSecret says whether an algorithm signs with what it verifies with.
func SharedSecret(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

const (
	// minSecret is the least length of a shared secret, in bytes: RFC 7518, section 3.2.
	minSecret = 32
	// minRSA is the least length of an RSA key, in bits.
	minRSA = 2048
)

// ParseKey reads the key of a config, and tells the algorithms that fit it. The error goes on after the key's name, and holds
// none of it.
func ParseKey(text secret.String) (key any, algorithms []string, err error) {
	plain := text.Reveal()
	if !strings.Contains(plain, "-----BEGIN") {
		if len(plain) < minSecret {
			return nil, nil, errors.New("is shorter than 32 bytes, and no key in PEM")
		}
		return []byte(plain), secretAlgorithms, nil
	}
	block, _ := pem.Decode([]byte(strings.TrimSpace(plain) + "\n"))
	if block == nil {
		return nil, nil, errors.New("is not whole: it begins as PEM and has no block in it")
	}
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		if strings.Contains(block.Type, "PRIVATE") {
			return nil, nil, errors.New("is a private key")
		}
		return nil, nil, errors.New("is PEM, but no public key")
	}
	if err != nil {
		return nil, nil, errors.New("is PEM, but no key that can be read")
	}
	if algorithms = algorithmsOf(key); algorithms == nil {
		return nil, nil, errors.New("is of a kind that no token is signed with, or an RSA key of less than 2048 bits")
	}
	return key, algorithms, nil
}

// algorithmsOf are those that a key can verify; nil for a key that verifies nothing.
func algorithmsOf(key any) []string {
	switch k := key.(type) {
	case []byte:
		return secretAlgorithms
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return rsaAlgorithms
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

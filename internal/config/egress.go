package config

import (
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
)

var egressTLSObject = object[sender.Egress]{
	check: checkEgressTLS,
	members: []member[sender.Egress]{
		key("ca", authorities(), func(e *sender.Egress) *string { return &e.CA },
			"Certificates of authorities, in PEM, that are trusted beside those of the system: for receivers inside of a company."),
		key("certificate", certificate(), func(e *sender.Egress) *string { return &e.Certificate },
			"The certificate, in PEM and with those that lead to its authority, that is shown to targets which ask for a client's. Needs key."),
		key("key", certificateKey(), func(e *sender.Egress) *secret.String { return &e.Key },
			"The key of certificate, in PEM, not encrypted."),
	},
}

func egressProxy() scalar[secret.String] {
	const hint = "write http://user:password@host:3128; signs such as @ / # % in the password are written as %40 %2F %23 %25"
	return scalar[secret.String]{
		want:   "a URL",
		hint:   hint,
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			if _, err := sender.ParseProxy(secret.String(s)); err != nil {
				return "", &mistake{is: err.Error()}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"http://user:${env:PROXY_PASSWORD}@proxy.internal:3128"}}},
	}
}

func authorities() scalar[string] {
	return pemText("${file:/etc/rowhook/ca.pem}", func(s string) *mistake {
		if _, err := sender.ParseAuthorities(s); err != nil {
			return &mistake{is: err.Error()}
		}
		return nil
	})
}

func certificate() scalar[string] {
	return pemText("${file:/etc/rowhook/client.pem}", func(s string) *mistake {
		if !strings.Contains(s, "-----BEGIN CERTIFICATE-----") {
			return &mistake{is: "holds no certificate in PEM"}
		}
		return nil
	})
}

func pemText(example string, check func(string) *mistake) scalar[string] {
	s := checked("text", "give the file: "+example, check, example)
	s.hide = func(string) bool { return true } // it may be the key, by mistake
	s.show = nil
	return s
}

func certificateKey() scalar[secret.String] {
	return scalar[secret.String]{
		want:   "text",
		hint:   "give the file: ${file:/run/secrets/client-key.pem}",
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			switch {
			case strings.Contains(s, "ENCRYPTED"):
				return "", &mistake{is: "is encrypted", hint: "decrypt it with openssl pkey, and let the file be read by rowhook alone"}
			case !strings.Contains(s, "PRIVATE KEY-----"):
				return "", &mistake{is: "holds no key in PEM"}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"${file:/run/secrets/client-key.pem}"}}},
	}
}

// checkEgressTLS wants a certificate and its key.
func checkEgressTLS(d *decoder, v value, e *sender.Egress) {
	if d.anyBad(v.path+".certificate") || d.anyBad(v.path+".key") {
		return
	}
	switch {
	case e.Certificate == "" && e.Key == "":
	case e.Key == "":
		d.add(d.notes[v.path+".certificate"].at, "give its key as "+v.path+".key", "%s.certificate has no key", v.path)
	case e.Certificate == "":
		d.add(d.notes[v.path+".key"].at, "give its certificate as "+v.path+".certificate", "%s.key is of no certificate", v.path)
	default:
		if _, err := sender.ParseCertificate(e.Certificate, e.Key); err != nil {
			d.add(d.notes[v.path+".key"].at, "give the key that the first certificate was made for", "%s.certificate and %s.key do not fit: %s", v.path, v.path, strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
}

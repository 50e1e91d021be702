package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
)

// client speaks HTTP to the folder's own server. The certificate it announced is
// trusted, whoever signed it, and no other one.
func (e endpoints) client() (*http.Client, error) {
	if e.Cert == "" {
		return http.DefaultClient, nil
	}
	text, err := os.ReadFile(e.Cert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", e.Cert)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Cert, err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(leaf)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: trusted, ServerName: nameOf(leaf),
	}}}, nil
}

// nameOf is a name the certificate is for.
func nameOf(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return c.Subject.CommonName
}

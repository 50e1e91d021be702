package domain

import "strings"

// System is who did what nobody in particular did: author of messages and creator of
// conversations. Nobody can have it for an identity.
const System = "system"

// Unaddressable reports whether a name cannot be a segment of a path: clients and
// proxies take "." and ".." for a folder before anybody sees them (RFC 3986, 5.2.4),
// and a request about the thing of that name would be about another one; a slash alone
// is an empty segment to many.
func Unaddressable(name string) bool { return name == "." || name == ".." || name == "/" }

// CheckIdentity refuses an identity that nobody may have, as a user or as a
// participant: "system" in any case, ".", ".." and "/" (50203), and what looks like the SID
// of a user or a participant, by which both can be addressed too (50206). Its length
// is not judged, nor is an empty one.
func CheckIdentity(identity, field string) error {
	switch {
	case strings.EqualFold(identity, System):
		return Refuse(InvalidArgument, "identity_reserved", field, 50203, "The identity %q is reserved", identity)
	case Unaddressable(identity):
		return Refuse(InvalidArgument, "identity_reserved", field, 50203, "An identity cannot be %q: it is part of paths", identity)
	case IsSID("US", identity) || IsSID("MB", identity):
		return Refuse(InvalidArgument, "identity_looks_like_sid", field, 50206, "An identity must not look like a SID")
	}
	return nil
}

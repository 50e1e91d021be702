// Package access says who may do what on the bus: tokens, their roles, and what
// each role comes to in the broker's own terms.
//
// Every token that is held to an account has a world of its own on the broker (an
// account in the words of NATS): its subjects are nobody else's, and nothing gets in
// or out but by the routes of its roles ([Token.Rules]). So a reply, an inbox or a
// made-up subject can reach nobody else, whatever a client does. Where a command
// came from is in the subject by which the broker lets it through ([Authority]),
// which no client can choose.
//
// Tokens are 128 random bits; a file keeps their SHA-256 ([File]).
package access

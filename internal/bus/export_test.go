package bus

import "context"

// ForgetHandled is one sweep.
func (b *Bus) ForgetHandled(ctx context.Context) error { return b.forgetHandled(ctx) }

// Tidy is one round of the sweeper.
func (b *Bus) Tidy(ctx context.Context) error { return b.tidy(ctx) }

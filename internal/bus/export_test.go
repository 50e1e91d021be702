package bus

import "context"

// ForgetHandled is one sweep.
func (b *Bus) ForgetHandled(ctx context.Context) error { return b.forgetHandled(ctx) }

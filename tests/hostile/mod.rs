//! What a hostile component may not do to the host: the guest `tests/guests/hostile` and its variants.

mod variants;

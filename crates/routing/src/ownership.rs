//! What this crate must know about who owns a capability.

/// The process family that answers for a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The system that is being replaced.
    Monolith,
    /// What replaces it.
    Service,
}

/// What is known of one capability at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub owner: Side,
    /// Goes up by one with every change of owner.
    pub epoch: i64,
    /// A switch is under way.
    pub pending: bool,
    /// A move has been created and neither completed nor cancelled.
    pub unfinished: bool,
}

/// Whoever follows the control database. Nothing here waits but [`Ownership::changed`].
pub trait Ownership: Clone + Send + Sync + 'static {
    /// Dropped when an unbuffered write has its answer.
    type Guard: Send + 'static;

    /// The view that is acted on now.
    fn view(&self, capability: &str) -> View;

    /// Whether a read may be sent to the owner of the view: false where the view may be out of date.
    fn may_read(&self, capability: &str) -> bool;

    /// Says that a request which cannot be repeated is under way. A switch waits for the guards that
    /// were taken before it was pending.
    fn begin(&self, capability: &str) -> Self::Guard;

    /// Resolves when the view, or the permission to read, has changed after this call. Counted from the
    /// call and not from the first poll, so that nothing is missed between looking and waiting.
    fn changed(&self, capability: &str) -> impl Future<Output = ()> + Send + 'static;
}

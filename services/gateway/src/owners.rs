//! Tells the layers what the control database says.

use ficus_owners::{Guard, Owners};
use ficus_routing::{Ownership, Side, View};

/// Owners as the routing layers ask for them.
#[derive(Debug, Clone)]
pub struct Followed(pub Owners);

impl Ownership for Followed {
    type Guard = Guard;

    fn view(&self, capability: &str) -> View {
        let view = self.0.view(capability);
        View {
            owner: match view.owner {
                ficus_owners::Side::Monolith => Side::Monolith,
                ficus_owners::Side::Service => Side::Service,
            },
            epoch: view.epoch,
            pending: view.pending.is_some(),
            unfinished: view.unfinished,
        }
    }

    fn may_read(&self, capability: &str) -> bool {
        self.0.may_read(capability)
    }

    fn begin(&self, capability: &str) -> Guard {
        self.0.begin(capability)
    }

    fn changed(&self, capability: &str) -> impl Future<Output = ()> + Send + 'static {
        let mut views = self.0.subscribe(capability);
        async move {
            // A capability without a move never changes.
            if views.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

//! Trellis's contracts: messages, gRPC clients and servers generated from `proto/trellis`, and the
//! descriptor set that the gateway, reflection and the JSON rules read. No hand-written logic.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// Every contract with its imports, as a serialised `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trellis.binpb"));

/// The same, decoded.
pub static DESCRIPTOR_POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the set was written by this crate's build")
});

macro_rules! package {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {$(
        $(#[$doc])*
        pub mod $name {
            /// Version 1.
            #[expect(clippy::pedantic, reason = "generated")]
            pub mod v1 {
                tonic::include_proto!($file);
            }
        }
    )*};
}

package! {
    /// Persons, sessions, workspaces.
    auth = "trellis.auth.v1";
    /// Projects, tasks, comments.
    core = "trellis.core.v1";
    /// What capabilities tell each other.
    events = "trellis.events.v1";
    /// Inbox, preferences, delivery log.
    notifications = "trellis.notifications.v1";
}

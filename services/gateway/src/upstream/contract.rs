//! What the descriptor set says.

use std::path::Path;

use anyhow::Context;
use ficus_control_api::subject::Subject;
use ficus_routing::{CapabilityRoutes, RouteTable, TableError};
use prost_reflect::{DescriptorPool, MethodDescriptor};

/// The subject's messages and RPCs; nothing where it has no protos.
#[derive(Debug, Clone, Default)]
pub struct Contract(pub Option<DescriptorPool>);

/// Reads the file that `ficus.toml` names.
pub fn contract(subject: &Subject) -> anyhow::Result<Contract> {
    let Some(file) = &subject.descriptors else { return Ok(Contract::default()) };
    let path = subject.path(file);
    read(&path).with_context(|| {
        format!(
            "failed to read the descriptor set {}; the subject's build writes it",
            path.display()
        )
    })
}

fn read(path: &Path) -> anyhow::Result<Contract> {
    let bytes = std::fs::read(path)?;
    Ok(Contract(Some(DescriptorPool::decode(bytes.as_slice())?)))
}

fn named(subject: &Subject) -> Vec<CapabilityRoutes<'_>> {
    let capabilities = subject.capability.iter();
    capabilities
        .map(|(name, capability)| CapabilityRoutes {
            name,
            packages: &capability.packages,
            routes: &capability.routes,
        })
        .collect()
}

impl Contract {
    /// All routes of all capabilities.
    pub fn table(&self, subject: &Subject) -> Result<RouteTable, TableError> {
        RouteTable::build(self.0.as_ref(), &named(subject))
    }

    /// The same with what the contract says of the monolith's part, and what of that cannot be told.
    pub fn public(&self, subject: &Subject) -> Result<(RouteTable, Vec<TableError>), TableError> {
        let table = self.table(subject)?;
        Ok(match &self.0 {
            Some(pool) => table.completed(pool, &named(subject), "monolith"),
            None => (table, Vec::new()),
        })
    }

    /// The RPC called `package.Service/Method`.
    pub fn rpc(&self, name: &str) -> Option<MethodDescriptor> {
        let (service, method) = name.split_once('/')?;
        let service = self.0.as_ref()?.get_service_by_name(service)?;
        service.methods().find(|found| found.name() == method)
    }
}

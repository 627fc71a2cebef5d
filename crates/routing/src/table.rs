//! Which capability, and which RPC, a method and a path belong to.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use http::Method;
use percent_encoding::percent_decode_str;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::bindings::{self, Binding};

/// What one capability answers for, as it stands in `ficus.toml`.
#[derive(Debug, Clone, Copy)]
pub struct CapabilityRoutes<'a> {
    pub name: &'a str,
    /// Packages of the descriptor set: every RPC with a `google.api.http` annotation is a route.
    pub packages: &'a [String],
    /// `METHOD /path/{field}`, for a subject without protos.
    pub routes: &'a [String],
}

/// One line of the table.
#[derive(Debug)]
pub struct Route {
    pub capability: Arc<str>,
    pub method: Method,
    /// As it was written: `/v1/tasks/{task_id}`.
    pub template: Arc<str>,
    /// The RPC behind it, where the route came from a descriptor set.
    pub rpc: Option<Rpc>,
    fields: Vec<String>,
}

impl Route {
    /// The fields of its path, in order.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Its path with every field numbered: the same for two routes that a path cannot tell apart.
    pub fn pattern(&self) -> String {
        let (pattern, _) = bindings::pattern(&self.template).expect("it is in the table");
        pattern
    }
}

/// The RPC behind a route.
#[derive(Debug)]
pub struct Rpc {
    pub method: MethodDescriptor,
    pub payload: Payload,
}

/// Where the JSON body goes in the RPC's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// There is none; query parameters fill the fields.
    None,
    /// `body: "*"`: it is the request, and query parameters mean nothing.
    Whole,
    /// `body: "field"`; query parameters fill the others.
    Field(String),
}

/// A route that was found, with the values of its path fields, percent-decoded.
#[derive(Debug, Clone)]
pub struct Match {
    pub route: Arc<Route>,
    pub fields: Arc<[(String, String)]>,
}

/// Why a table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("failed to read the descriptor set: {0}")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    #[error(
        "capability {capability} names package {package}, which the descriptor set does not have"
    )]
    UnknownPackage { capability: String, package: String },
    #[error("capability {0} names packages, and there is no descriptor set to find them in")]
    NoDescriptors(String),
    #[error("failed to understand route {0:?}: write METHOD /path/{{field}}")]
    Malformed(String),
    #[error("{rpc} cannot be routed: {reason}")]
    Unsupported { rpc: String, reason: &'static str },
    #[error("{method} {template} stands twice, or collides with another route: {source}")]
    Twice { method: Method, template: String, source: matchit::InsertError },
}

/// All routes. Immutable; what no route names belongs to the monolith.
#[derive(Debug, Default)]
pub struct RouteTable {
    by_method: HashMap<Method, matchit::Router<Arc<Route>>>,
    routes: Vec<Arc<Route>>,
    capabilities: Vec<Arc<str>>,
}

impl RouteTable {
    /// Makes the table of all capabilities.
    pub fn build(
        pool: Option<&DescriptorPool>,
        capabilities: &[CapabilityRoutes<'_>],
    ) -> Result<Self, TableError> {
        let mut table = Self::default();
        for capability in capabilities {
            let name: Arc<str> = capability.name.into();
            for line in capability.routes {
                table.insert(&name, bindings::listed(line)?)?;
            }
            for package in capability.packages {
                let pool =
                    pool.ok_or_else(|| TableError::NoDescriptors(capability.name.to_owned()))?;
                if !pool.files().any(|file| file.package_name() == package) {
                    let (capability, package) = (capability.name.to_owned(), package.clone());
                    return Err(TableError::UnknownPackage { capability, package });
                }
                for binding in bindings::annotated(pool, package) {
                    table.insert(&name, binding?)?;
                }
            }
            table.capabilities.push(name);
        }
        Ok(table)
    }

    /// The same with the annotated RPCs of the packages that no capability names, which `owner` answers, and what of
    /// them cannot be routed. It is the public API as a whole; to route by it would be to ask who owns what never moves.
    pub fn completed(
        mut self,
        pool: &DescriptorPool,
        named: &[CapabilityRoutes<'_>],
        owner: &str,
    ) -> (Self, Vec<TableError>) {
        let owner: Arc<str> = owner.into();
        let named = |package: &str| named.iter().any(|c| c.packages.iter().any(|p| p == package));
        let packages: BTreeSet<_> = pool.services().map(|s| s.package_name().to_owned()).collect();
        let mut left_out = Vec::new();
        for package in packages.iter().filter(|package| !named(package)) {
            for binding in bindings::annotated(pool, package) {
                let inserted = binding.and_then(|binding| self.insert(&owner, binding));
                left_out.extend(inserted.err());
            }
        }
        (self, left_out)
    }

    /// Every route: a capability's after another's, each as in its contract.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The capabilities that it was made of.
    pub fn capabilities(&self) -> &[Arc<str>] {
        &self.capabilities
    }

    /// The route of a request. HEAD is a GET without a body.
    pub fn find(&self, method: &Method, path: &str) -> Option<Match> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let path = unreserved_decoded(path);
        let found = self.by_method.get(method)?.at(&path).ok()?;
        let values = found
            .params
            .iter()
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned());
        let fields = found.value.fields.iter().cloned().zip(values).collect();
        Some(Match { route: found.value.clone(), fields })
    }

    fn insert(&mut self, capability: &Arc<str>, binding: Binding) -> Result<(), TableError> {
        let Binding { method, template, rpc } = binding;
        let (pattern, fields) = bindings::pattern(&template)
            .ok_or_else(|| TableError::Malformed(format!("{method} {template}")))?;
        let route = Arc::new(Route {
            capability: capability.clone(),
            method: method.clone(),
            template: template.as_str().into(),
            rpc,
            fields,
        });
        self.by_method
            .entry(method.clone())
            .or_default()
            .insert(pattern, route.clone())
            .map_err(|source| TableError::Twice { method, template, source })?;
        self.routes.push(route);
        Ok(())
    }
}

/// The path with `%61` for `a` and the like undone, so that no other spelling of a routed path slips past
/// the table to an owner that reads it as the same path (RFC 3986, section 6.2.2.2).
fn unreserved_decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)) {
            decoded.push(char::from(byte));
            rest = &after[2..];
        } else {
            decoded.push('%');
            rest = after;
        }
    }
    decoded.push_str(rest);
    decoded.into()
}

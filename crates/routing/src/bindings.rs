//! Reads routes: from a descriptor set's `google.api.http` annotations, or from lines of text.

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage, Value};

use crate::{Payload, Rpc, TableError};

/// A route before it is in the table.
pub(crate) struct Binding {
    pub method: Method,
    pub template: String,
    pub rpc: Option<Rpc>,
}

/// Reads `METHOD /path/{field}`.
pub(crate) fn listed(line: &str) -> Result<Binding, TableError> {
    let malformed = || TableError::Malformed(line.to_owned());
    let (method, template) = line.split_once(' ').ok_or_else(malformed)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed())?;
    Ok(Binding { method, template: template.trim().to_owned(), rpc: None })
}

/// Every annotated RPC of one package; what is wrong of one hinders no other.
pub(crate) fn annotated(
    pool: &DescriptorPool,
    package: &str,
) -> impl Iterator<Item = Result<Binding, TableError>> {
    let services = pool.services().filter(move |service| service.package_name() == package);
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.flat_map(|method| {
        let mut found = Vec::new();
        let read = match http_rule(pool, &method) {
            Some(rule) => read_rule(&method, &rule, &mut found),
            None => Ok(()),
        };
        found.into_iter().map(Ok).chain(read.err().map(Err))
    })
}

/// The annotation, read without generated code: any descriptor set brings its own copy of it.
fn http_rule(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<DynamicMessage> {
    let extension = pool.get_extension_by_name("google.api.http")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    match options.get_extension(&extension).into_owned() {
        Value::Message(rule) => Some(rule),
        _ => None,
    }
}

fn read_rule(
    method: &MethodDescriptor,
    rule: &DynamicMessage,
    found: &mut Vec<Binding>,
) -> Result<(), TableError> {
    let unsupported = |reason| TableError::Unsupported { rpc: method.full_name().into(), reason };
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err(unsupported("it streams"));
    }
    if text(rule, "response_body").is_some() {
        return Err(unsupported("response_body is not supported"));
    }
    let (verb, template) = [
        (Method::GET, "get"),
        (Method::PUT, "put"),
        (Method::POST, "post"),
        (Method::DELETE, "delete"),
        (Method::PATCH, "patch"),
    ]
    .into_iter()
    .find_map(|(verb, field)| Some((verb, text(rule, field)?)))
    .ok_or_else(|| unsupported("its annotation names no method and path"))?;
    if pattern(&template).is_none() {
        return Err(unsupported("its path has more than plain segments and {fields}"));
    }
    let payload = payload(rule);
    let rpc = Some(Rpc { method: method.clone(), payload });
    found.push(Binding { method: verb, template, rpc });
    for additional in additional(rule) {
        read_rule(method, &additional, found)?;
    }
    Ok(())
}

fn payload(rule: &DynamicMessage) -> Payload {
    match text(rule, "body") {
        None => Payload::None,
        Some(body) if body == "*" => Payload::Whole,
        Some(field) => Payload::Field(field),
    }
}

fn additional(rule: &DynamicMessage) -> Vec<DynamicMessage> {
    let Some(value) = rule.get_field_by_name("additional_bindings") else { return Vec::new() };
    let rules = value.as_list().unwrap_or_default();
    rules.iter().filter_map(Value::as_message).cloned().collect()
}

/// A text field that is present and not empty.
fn text(rule: &DynamicMessage, field: &str) -> Option<String> {
    let field = rule.descriptor().get_field_by_name(field)?;
    let value = rule.has_field(&field).then(|| rule.get_field(&field))?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The matcher's pattern, and the names of the fields in order. None for what is not supported: `**`,
/// `{name=shelves/*}`, `:verb`. Fields are numbered in the pattern, so that two routes may call the same
/// place by different names.
pub(crate) fn pattern(template: &str) -> Option<(String, Vec<String>)> {
    let mut fields = Vec::new();
    let mut pattern = String::new();
    for segment in template.strip_prefix('/')?.split('/') {
        pattern.push('/');
        if let Some(field) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            plain(field).then_some(())?;
            pattern.extend(["{f", &fields.len().to_string(), "}"]);
            fields.push(field.to_owned());
        } else {
            plain(segment).then_some(())?;
            pattern.push_str(segment);
        }
    }
    Some((pattern, fields))
}

fn plain(segment: &str) -> bool {
    !segment.contains(['{', '}', '*', ':', '=', '?', '#', ' '])
}

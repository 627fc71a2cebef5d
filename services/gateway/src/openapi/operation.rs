//! One route as an operation.

use ficus_routing::{Payload, Route, Rpc};
use ficus_rpc::json::{
    comment,
    schema::{Schemas, Way},
    settable,
};
use http::Method;
use prost_reflect::{FieldDescriptor, MethodDescriptor};
use serde_json::{Value, json};

const ANONYMOUS: &str = "ficus.api.v1.anonymous";

/// A route, and what its place in the document says of it.
pub struct Operation<'a> {
    pub route: &'a Route,
    /// What the fields of its path are called in the document.
    pub names: &'a [String],
    /// Whether it is known how a caller says who it is.
    pub known: bool,
}

impl Operation<'_> {
    /// `Inbox_MarkRead`; of a route without an RPC `GET_shop_item`.
    pub fn id(&self) -> String {
        if let Some(Rpc { method, .. }) = &self.route.rpc {
            return format!("{}_{}", method.parent_service().name(), method.name());
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let path: String = self.route.template.chars().map(plain).collect();
        let words: Vec<_> = path.split('_').filter(|word| !word.is_empty()).collect();
        format!("{}_{}", self.route.method, words.join("_"))
    }

    /// The operation object; what its schemas refer to is added to them.
    pub fn object(&self, id: &str, schemas: &mut Schemas) -> Value {
        let mut parameters: Vec<_> = self.path(schemas);
        let Some(rpc) = &self.route.rpc else {
            let any = json!({"description": "What its owner answers."});
            return json!({"operationId": id, "parameters": parameters, "responses": {"default": any}});
        };
        parameters.extend(self.query(rpc, schemas));
        let writes = self.route.method != Method::GET;
        if writes {
            parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
        }
        let mut object = json!({
            "operationId": id,
            "tags": [rpc.method.parent_service().full_name()],
            "parameters": parameters,
            "responses": {
                "200": answer(&rpc.method, writes, schemas),
                "default": {"$ref": "#/components/responses/Problem"},
            },
        });
        if let Some(body) = self.body(rpc, schemas) {
            object["requestBody"] = json!({"content": {"application/json": {"schema": body}}});
        }
        if let Some(text) = comment(&rpc.method.parent_file(), rpc.method.path()) {
            object["description"] = text.into();
        }
        if self.known && anonymous(&rpc.method) {
            object["security"] = json!([]);
        }
        object
    }

    fn path(&self, schemas: &mut Schemas) -> Vec<Value> {
        let settable = self.route.rpc.as_ref().map(|rpc| settable(&rpc.method.input()));
        let field = |name| settable.iter().flatten().find(|(other, _)| other == name);
        let fields = self.names.iter().zip(self.route.fields());
        fields
            .map(|(shown, name)| {
                let mut parameter = match field(name) {
                    Some((_, field)) => parameter(shown, "path", field, schemas),
                    None => json!({"name": shown, "in": "path", "schema": {"type": "string"}}),
                };
                parameter["required"] = true.into();
                parameter
            })
            .collect()
    }

    /// Where the body is the request, the query is left to those who know what they do.
    fn query(&self, rpc: &Rpc, schemas: &mut Schemas) -> Vec<Value> {
        let in_body = match &rpc.payload {
            Payload::Whole => return Vec::new(),
            Payload::Field(name) => Some(name.as_str()),
            Payload::None => None,
        };
        let taken = |name: &str| {
            self.route.fields().iter().any(|field| field == name)
                || in_body.is_some_and(|field| name.split('.').next() == Some(field))
        };
        let free = settable(&rpc.method.input()).into_iter().filter(|(name, _)| !taken(name));
        free.map(|(name, field)| parameter(&name, "query", &field, schemas)).collect()
    }

    /// A field of the path outdoes one of the body, so the body is shown without it.
    fn body(&self, rpc: &Rpc, schemas: &mut Schemas) -> Option<Value> {
        let input = rpc.method.input();
        match &rpc.payload {
            Payload::None => None,
            Payload::Whole => Some(schemas.fields(&input, Way::In, self.route.fields())),
            Payload::Field(name) => {
                input.get_field_by_name(name).map(|field| schemas.field(&field, Way::In))
            }
        }
    }
}

fn parameter(name: &str, place: &str, field: &FieldDescriptor, schemas: &mut Schemas) -> Value {
    let mut schema = schemas.field(field, Way::In);
    let text = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({"name": name, "in": place, "schema": schema});
    if let Some(text) = text {
        parameter["description"] = text;
    }
    parameter
}

fn answer(method: &MethodDescriptor, writes: bool, schemas: &mut Schemas) -> Value {
    let schema = schemas.message(&method.output(), Way::Out);
    let mut answer =
        json!({"description": "It is done.", "content": {"application/json": {"schema": schema}}});
    if writes {
        let header = json!({"$ref": "#/components/headers/IdempotentReplayed"});
        answer["headers"] = json!({"Idempotent-Replayed": header});
    }
    answer
}

fn anonymous(method: &MethodDescriptor) -> bool {
    let extension = method.parent_pool().get_extension_by_name(ANONYMOUS);
    let said = extension.map(|extension| method.options().get_extension(&extension).into_owned());
    said.and_then(|value| value.as_bool()).unwrap_or_default()
}

//! The document, as far as requests are made from it and answers held to it.

use ::http::Method;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use crate::http;

pub struct Document {
    whole: Value,
    operations: Vec<Operation>,
    schemas: Schemas,
    problem: SchemaIndex,
}

pub struct Operation {
    pub id: String,
    pub method: Method,
    /// As `/v1/tasks/{task_id}`.
    pub path: String,
    pub parameters: Vec<Parameter>,
    /// The schema of its body, where it has one.
    pub body: Option<Value>,
    /// The schema of its answer.
    pub answer: Value,
    fits: SchemaIndex,
}

pub struct Parameter {
    pub name: String,
    /// `path`, `query` or `header`.
    pub place: String,
    pub schema: Value,
}

impl Document {
    pub async fn fetch(gateway: &str) -> Self {
        let (status, text) = http::send(gateway, "GET /openapi.json", "", "").await;
        assert_eq!(status, 200, "{text}");
        Self::new(serde_json::from_str(&text).unwrap())
    }

    fn new(whole: Value) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("openapi.json", whole.clone()).unwrap();
        let mut compile =
            |place: &str| compiler.compile(&format!("openapi.json#{place}"), &mut schemas).unwrap();
        let problem = compile("/components/schemas/Problem");
        let mut operations = Vec::new();
        for (path, item) in whole["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let escaped = path.replace('/', "~1");
                let place = "responses/200/content/application~1json/schema";
                let fits = compile(&format!("/paths/{escaped}/{method}/{place}"));
                operations.push(Operation::read(&whole, path, method, operation, fits));
            }
        }
        Self { whole, operations, schemas, problem }
    }

    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that a request is for, if its path and its method are those of one.
    pub fn operation(&self, method: &Method, target: &str) -> Option<&Operation> {
        let parts: Vec<_> = target.split('?').next()?.split('/').collect();
        self.operations.iter().find(|operation| {
            let names: Vec<_> = operation.path.split('/').collect();
            let fits = |(name, part): (&&str, &&str)| name == part || name.starts_with('{');
            operation.method == *method
                && names.len() == parts.len()
                && names.iter().zip(&parts).all(fits)
        })
    }

    /// What a reference leads to, or the value itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        resolved(&self.whole, value)
    }

    /// What is wrong of an answer's JSON.
    pub fn fits(&self, operation: &Operation, answer: &Value) -> Result<(), String> {
        let outcome = self.schemas.validate(answer, operation.fits);
        outcome.map_err(|error| error.to_string())
    }

    /// What is wrong of a problem document.
    pub fn is_problem(&self, problem: &Value) -> Result<(), String> {
        self.schemas.validate(problem, self.problem).map_err(|error| error.to_string())
    }
}

impl Operation {
    fn read(whole: &Value, path: &str, method: &str, read: &Value, fits: SchemaIndex) -> Self {
        let content = "/content/application~1json/schema";
        let parameters = read["parameters"].as_array().unwrap().iter().map(|parameter| {
            let parameter = resolved(whole, parameter);
            let text = |name: &str| parameter[name].as_str().unwrap().to_owned();
            Parameter { name: text("name"), place: text("in"), schema: parameter["schema"].clone() }
        });
        Self {
            id: read["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            parameters: parameters.collect(),
            body: read.pointer(&format!("/requestBody{content}")).cloned(),
            answer: read.pointer(&format!("/responses/200{content}")).unwrap().clone(),
            fits,
        }
    }
}

fn resolved<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(to) => whole.pointer(&to[1..]).unwrap(),
        None => value,
    }
}

use prost_reflect::{DescriptorPool, DynamicMessage, Value as Field};
use trellis_contracts::DESCRIPTOR_POOL;

use super::{super::*, *};

const THING: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
// What is sold.
message Thing {
  // Counts.
  int64 large = 1;
  uint32 small = 2;
  double weight = 3;
  bytes picture = 4;
  Colour colour = 5;
  repeated Thing parts = 6;
  map<string, Colour> colours = 7;
  oneof price { int32 cents = 8; string words = 9; }
  optional string note = 10;
  google.protobuf.Timestamp made_at = 11;
  google.protobuf.FieldMask mask = 12;
  google.protobuf.Int64Value stock = 13;
}
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
"#;

fn thing() -> MessageDescriptor {
    // Tests run at the same time in one process.
    let name = format!("ficus-schema-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("shop.proto"), THING).expect("a file");
    let mut compiler = protox::Compiler::new([&folder]).expect("a compiler");
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("shop.proto")
        .expect("sound");
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice());
    std::fs::remove_dir_all(folder).expect("the folder is removed");
    pool.expect("a pool").get_message_by_name("shop.v1.Thing").expect("the message")
}

/// Whether the message's schema takes the JSON.
fn takes(message: &MessageDescriptor, way: Way, instance: &Value) -> bool {
    let mut schemas = Schemas::default();
    let mut root = schemas.message(message, way);
    root["components"] = json!({"schemas": schemas.into_components()});
    let (mut all, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("schema.json", root).expect("a resource");
    let index = compiler.compile("schema.json", &mut all).expect("a sound schema");
    all.validate(instance, index).is_ok()
}

fn encoded(message: &DynamicMessage) -> Value {
    serde_json::from_slice(&encode_dynamic(message)).expect("JSON")
}

#[test]
fn what_is_written_fits_and_what_is_left_out_does_not() {
    let thing = thing();
    let empty = encoded(&DynamicMessage::new(thing.clone()));
    assert!(takes(&thing, Way::Out, &empty), "{empty}");
    for name in ["large", "small", "weight", "picture", "colour", "parts", "colours"] {
        let mut less = empty.clone();
        less.as_object_mut().expect("an object").remove(name).expect("it is there");
        assert!(!takes(&thing, Way::Out, &less), "without {name}");
    }
    for name in ["cents", "words", "note", "made_at", "mask", "stock"] {
        assert!(empty.get(name).is_none(), "{name}");
    }
}

#[test]
fn every_kind_of_field_is_written_as_it_says() {
    let thing = thing();
    let full = json!({
        "large": i64::MAX, "small": u32::MAX, "weight": "NaN", "picture": "AAE=", "colour": "COLOUR_RED",
        "parts": [{"weight": 0.5}], "colours": {"a": "COLOUR_RED"}, "cents": -7, "note": "",
        "made_at": "2024-02-29T12:00:00.123Z", "mask": "madeAt,note", "stock": -1
    });
    assert!(takes(&thing, Way::In, &full));
    let read = decode_dynamic(thing.clone(), full.to_string().as_bytes()).expect("it is read");
    let written = encoded(&read);
    assert!(takes(&thing, Way::Out, &written), "{written}");
    assert_eq!(written["large"], full["large"]);
    for (name, wrong) in [
        ("large", json!("1")),
        ("large", json!(1.5)),
        ("small", json!(-1)),
        ("small", json!(1_u64 << 32)),
        ("weight", json!("1")),
        ("picture", json!([0])),
        ("colour", json!("COLOUR_BLUE")),
        ("parts", json!({})),
        ("parts", json!([{"colour": 1}])),
        ("colours", json!({"a": "red"})),
        ("words", json!("two prices")),
        ("made_at", json!(0)),
        ("unknown", json!(0)),
    ] {
        let mut changed = full.clone();
        changed[name] = wrong;
        assert!(!takes(&thing, Way::In, &changed), "{name}: {}", changed[name]);
    }
}

#[test]
fn comments_are_descriptions() {
    let mut schemas = Schemas::default();
    schemas.message(&thing(), Way::Out);
    let all = schemas.into_components();
    assert_eq!(all["shop.v1.Thing"]["description"], "What is sold.");
    assert_eq!(all["shop.v1.Thing"]["properties"]["large"]["description"], "Counts.");
}

#[test]
fn each_field_that_is_said_to_be_settable_is() {
    let names: Vec<_> = settable(&thing()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "large",
            "small",
            "weight",
            "colour",
            "cents",
            "words",
            "note",
            "made_at.seconds",
            "made_at.nanos",
            "mask.paths",
            "stock.value"
        ]
    );
    for message in DESCRIPTOR_POOL.all_messages().chain([thing()]) {
        for (name, field) in settable(&message) {
            let text = match field.kind() {
                Kind::Bool => "true".to_owned(),
                Kind::Enum(names) => names.default_value().name().to_owned(),
                _ => "7".to_owned(),
            };
            let mut set_once = DynamicMessage::new(message.clone());
            set(&mut set_once, &name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let mut refused = DynamicMessage::new(thing());
    for (name, text) in
        [("picture", "AAE="), ("parts", "{}"), ("parts.large", "7"), ("colours.a", "7")]
    {
        assert!(set(&mut refused, name, text).is_err(), "{name}");
    }
    assert_eq!(refused.get_field_by_name("large").as_deref(), Some(&Field::I64(0)));
}

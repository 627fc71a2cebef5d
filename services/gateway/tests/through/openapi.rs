//! The API's description, as a client fetches and keeps it.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::stand::{MOVING, Stand};

const PATH: &str = "/openapi.json";

#[tokio::test]
async fn the_document_comes_from_the_gateway_and_is_sent_again_only_when_it_has_changed() {
    let stand = Stand::start(MOVING).await;
    let answer = stand.get(PATH).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert_eq!(answer.headers["cache-control"], "no-cache");
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(document["paths"]["/v1/inbox/{notification_id}/read"]["post"].is_object());

    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    for (given, status) in [
        (tag.clone(), StatusCode::NOT_MODIFIED),
        (format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
        ("*".to_owned(), StatusCode::NOT_MODIFIED),
        ("\"other\"".to_owned(), StatusCode::OK),
    ] {
        let headers = [("if-none-match", given.as_str())];
        let again = stand.send(Method::GET, PATH, &headers, Bytes::new()).await;
        assert_eq!(
            (again.status, &again.headers["etag"]),
            (status, &answer.headers["etag"]),
            "{given}"
        );
        assert_eq!(again.body.is_empty(), status == StatusCode::NOT_MODIFIED);
    }
    let head = stand.send(Method::HEAD, PATH, &[], Bytes::new()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));

    let wrong = stand.post(PATH, "").await;
    assert_eq!(
        (wrong.status, wrong.code()),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed".to_owned())
    );
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
    assert_eq!(stand.monolith.lines(), [""; 0], "nothing of it is the monolith's");
}

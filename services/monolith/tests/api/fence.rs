//! Writes while the fence is shut.

use serde_json::json;

use crate::harness::{PASSWORD, Trellis};

/// As the mover's: every write is refused, also one that would find no row.
const FENCE: &str = "
    CREATE FUNCTION public.fence_of_this_test() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'fenced' USING ERRCODE = 'ZF001', DETAIL = 'capability=notifications epoch=7';
    END $$;
    CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON notifications
        FOR EACH STATEMENT EXECUTE FUNCTION public.fence_of_this_test();
    CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON notifications_idempotency
        FOR EACH STATEMENT EXECUTE FUNCTION public.fence_of_this_test();
";

#[tokio::test]
async fn a_refused_write_says_so_and_leaves_nothing() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    sqlx::raw_sql(FENCE).execute(&trellis.pool).await.unwrap();

    for reply in [
        person.post("/v1/inbox/read-all", json!({})).await,
        person.post("/v1/inbox/999999/read", json!({})).await,
        person.post_once("key", "/v1/inbox/read-all", json!({})).await,
    ] {
        reply.refused(503, "fenced");
        assert_eq!(reply.header("ficus-fenced"), "notifications 7");
        assert_eq!(reply.header("retry-after"), "1");
    }

    let body = json!({"email": "bob@example.org", "name": "Bob", "password": PASSWORD});
    trellis.post("/v1/sign-up", body.clone()).await.refused(503, "fenced");
    sqlx::query("UPDATE settings SET mail_mode = 'queued'").execute(&trellis.pool).await.unwrap();
    trellis_testkit::wait_until("queued", std::time::Duration::from_secs(5), async || {
        trellis.post("/v1/sign-up", body.clone()).await.status == 200
    })
    .await;
}

//! Writes while the mover's fence is shut. A gateway repeats what is answered with `Ficus-Fenced`, and
//! nothing else.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::middleware::from_fn;
use axum::routing::post;
use ficus_owners::Owners;
use ficus_pg::Pool;
use ficus_process::InFlight;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use trellis_contracts::auth::v1::SignOutResponse;
use trellis_monolith::http::{Answer, Ended, around};
use trellis_monolith::modules::auth;
use trellis_monolith::modules::idempotency::{Attempt, Capability, Key, Writes};
use trellis_monolith::modules::notifications::{
    Courier, Local, ModeReader, News, Notify, Outgoing, Smtp, Store,
};
use trellis_testkit::wait_until;

use crate::harness::{FENCED, Fence, PASSWORD, Person, Trellis};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_refused_write_says_so_and_leaves_nothing() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let (fence, _service) = Fence::prepare(&trellis).await;
    fence.shut().await;

    for reply in [
        person.post("/v1/inbox/read-all", json!({})).await,
        person.post("/v1/inbox/999999/read", json!({})).await,
        person.post_once("key", "/v1/inbox/read-all", json!({})).await,
    ] {
        reply.refused(503, "fenced");
        assert_eq!(reply.header("ficus-fenced"), FENCED);
        assert_eq!(reply.header("retry-after"), "1");
    }

    let bob = json!({"email": "bob@example.org", "name": "Bob", "password": PASSWORD});
    let reply = trellis.post("/v1/sign-up", bob.clone()).await;
    reply.refused(503, "fenced");
    assert_eq!(reply.header("ficus-fenced"), FENCED);
    assert!(trellis.mail.mails_to("bob@example.org").is_empty());
    fence.open().await;
    trellis.post("/v1/sign-up", bob).await.ok();
    assert_eq!(trellis.mail.mails_to("bob@example.org").len(), 1);
}

#[tokio::test]
async fn a_sign_up_whose_mail_left_before_the_fence_shut_is_answered_and_not_repeated() {
    let trellis = Trellis::start().await;
    let (fence, _service) = Fence::prepare(&trellis).await;
    trellis.mail.takes(Duration::from_secs(1)).await;
    let person = async { trellis.person().await };
    let shut = async {
        wait_until("the mail is on its way", PATIENCE, async || {
            state_of_the_mail(&trellis.pool).await.as_deref() == Some("sending")
        })
        .await;
        fence.shut().await;
    };
    // The answer is 200, so `person` ends.
    let (person, ()) = tokio::join!(person, shut);
    assert_eq!(trellis.mail.mails_to(&person.email).len(), 1);
    // That the mail server took it could not be written down any more.
    assert_eq!(state_of_the_mail(&trellis.pool).await.as_deref(), Some("sending"));
}

async fn state_of_the_mail(pool: &Pool) -> Option<String> {
    sqlx::query_scalar("SELECT state FROM emails").fetch_optional(pool).await.unwrap()
}

#[tokio::test]
async fn a_request_that_has_mailed_is_neither_told_as_refused_nor_repeated() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let (fence, _service) = Fence::prepare(&trellis).await;
    let news = assignment(&ada, &bob).await;
    let address = serve(Handler::new(&trellis, fence.clone(), news)).await;

    let mailed = trellis.post_at(address, "/?mail=true").await;
    mailed.refused(500, "outcome_unknown");
    assert_eq!(mailed.header("ficus-fenced"), "");
    assert_eq!(trellis.mail.mails_to(&bob.email).len(), 2, "the welcome, and this one once");

    fence.open().await;
    let silent = trellis.post_at(address, "/?mail=false").await;
    silent.refused(503, "fenced");
    assert_eq!(silent.header("ficus-fenced"), FENCED);
    assert_eq!(trellis.mail.mails_to(&bob.email).len(), 2);
}

async fn assignment(ada: &Person<'_>, bob: &Person<'_>) -> News {
    let task_id = ada.task(ada.project().await).await;
    let (workspace_id, actor_id, assignee_id) = (ada.workspace_id, ada.id, bob.id);
    News::TaskAssigned { task_id, workspace_id, actor_id, assignee_id, version: 1 }
}

/// A handler that no module of Trellis has any more: it mails within its transaction.
#[derive(Clone)]
struct Handler {
    writes: Writes,
    notify: Arc<Local>,
    news: News,
    fence: Fence,
}

#[derive(Deserialize)]
struct Asked {
    mail: bool,
}

impl Handler {
    fn new(trellis: &Trellis, fence: Fence, news: News) -> Self {
        let pool = || trellis.pool.clone();
        let outgoing = Outgoing { broker: false };
        let courier = Courier {
            directory: Arc::new(auth::Local(auth::Store::new(pool()))),
            smtp: Smtp::at(&trellis.mail.address.to_string(), 1).unwrap(),
            store: Store::new(pool()),
            outgoing,
            in_flight: InFlight::default(),
        };
        let owners = Owners::fixed([]);
        let notify = Arc::new(Local { mode: ModeReader::default(), owners, courier, outgoing });
        Self { writes: Writes::new(pool(), Capability::Notifications), notify, news, fence }
    }
}

async fn mail_and_write(
    State(handler): State<Handler>,
    Query(asked): Query<Asked>,
) -> Result<Answer, Ended> {
    let done = &SignOutResponse {};
    let mut write = handler.writes.begin(Attempt::by(1, "mail and write", Key(None), done)).await?;
    let mails = handler.notify.tell(&mut write, &handler.news).await?;
    if asked.mail {
        mails.send().await;
    }
    handler.fence.shut_in_part().await;
    sqlx::query("UPDATE notification_preferences SET version = version + 1")
        .execute(&mut *write)
        .await?;
    write.answer(done).await
}

/// Serves it behind what stands around every route of Trellis.
async fn serve(handler: Handler) -> std::net::SocketAddr {
    let router =
        Router::new().route("/", post(mail_and_write)).with_state(handler).layer(from_fn(around));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

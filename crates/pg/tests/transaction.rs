//! What a transaction says of its end.

use trellis_testkit::{Server, database};

/// The fence refuses a statement in this way too, and the code that asked may pass over the error.
#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_told_as_committed() {
    let database = database(Server::First, &[]).await;
    let pool = ficus_pg::connect(database.url(), "test", 1).expect("a URL");
    let mut transaction = ficus_pg::begin(&pool, "passed over").await.expect("a transaction");
    let written = sqlx::query("CREATE TABLE written ()").execute(&mut *transaction).await;
    written.expect("a table");
    sqlx::query("SELECT 1 / 0").execute(&mut *transaction).await.expect_err("a refusal");
    transaction.commit().await.expect_err("nothing was committed");
    let there: bool = sqlx::query_scalar("SELECT to_regclass('written') IS NOT NULL")
        .fetch_one(&pool)
        .await
        .expect("an answer");
    assert!(!there);
}

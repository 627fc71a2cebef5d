//! A preparation that was cut off is done again by whoever takes over.

use ficus_control_api::control::v1::CreateRequest;
use sqlx::Executor;

use crate::shop::{CAPABILITY, Shop, done, verb};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_preparation_leads_to_a_start_that_works() {
    let mut shop = Shop::new().await;
    shop.controller("controller.installed=kill").await;
    let mut moves = shop.leader().await;
    let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
    done(&moves.create(create).await.unwrap().into_inner());
    assert!(moves.prepare(verb()).await.is_err(), "it was to die");
    shop.controllers.clear();
    let between = "INSERT INTO orders (customer, total) VALUES ('between', 1)";
    shop.monolith.execute(between).await.unwrap();

    shop.controller("").await;
    assert_eq!(shop.status().await.phase, "planned");
    let mut moves = shop.leader().await;
    done(&moves.prepare(verb()).await.unwrap().into_inner());
    done(&moves.start(verb()).await.unwrap().into_inner());
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
    assert_eq!(shop.customers(true).await.get("between"), Some(&1));
}

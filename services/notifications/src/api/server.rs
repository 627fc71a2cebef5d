//! The gRPC services of the contract: which RPC is answered by which file.

use ficus_rpc::identity::Verifier;
use tonic::{Request, Response, Status, async_trait};
use trellis_contracts::notifications::v1::deliveries_server::Deliveries;
use trellis_contracts::notifications::v1::inbox_server::Inbox;
use trellis_contracts::notifications::v1::preferences_server::Preferences;
use trellis_contracts::notifications::v1::{
    CountUnreadRequest, CountUnreadResponse, GetPreferencesRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, ListNotificationsRequest, ListNotificationsResponse,
    MarkAllReadRequest, MarkAllReadResponse, MarkReadRequest, Notification, PreferenceSet,
    UpdatePreferencesRequest,
};

use super::call::{Call, Entrance, answer};
use super::{
    count_unread, get_preferences, list_deliveries, list_notifications, mark_all_read, mark_read,
    update_preferences,
};
use crate::error::Error;
use crate::store;

/// Answers every RPC.
#[derive(Clone)]
pub struct Server {
    pool: store::Pool,
    entrance: Entrance,
}

impl Server {
    /// Answers from this database those whom the verifier knows.
    pub fn new(pool: store::Pool, verifier: Verifier) -> Self {
        Self { pool, entrance: Entrance::new(verifier) }
    }

    async fn answer<M, A, F, R>(
        &self,
        method: &'static str,
        request: Request<M>,
        run: F,
    ) -> Result<Response<A>, Status>
    where
        F: FnOnce(store::Pool, Call<M>) -> R,
        R: Future<Output = Result<Response<A>, Error>>,
    {
        let pool = self.pool.clone();
        Box::pin(answer(&self.entrance, method, request, |call| run(pool, call))).await
    }
}

#[async_trait]
impl Inbox for Server {
    async fn list_notifications(
        &self,
        request: Request<ListNotificationsRequest>,
    ) -> Result<Response<ListNotificationsResponse>, Status> {
        let method = "/trellis.notifications.v1.Inbox/ListNotifications";
        self.answer(method, request, list_notifications::run).await
    }

    async fn count_unread(
        &self,
        request: Request<CountUnreadRequest>,
    ) -> Result<Response<CountUnreadResponse>, Status> {
        let method = "/trellis.notifications.v1.Inbox/CountUnread";
        self.answer(method, request, count_unread::run).await
    }

    async fn mark_read(
        &self,
        request: Request<MarkReadRequest>,
    ) -> Result<Response<Notification>, Status> {
        let method = "/trellis.notifications.v1.Inbox/MarkRead";
        self.answer(method, request, mark_read::run).await
    }

    async fn mark_all_read(
        &self,
        request: Request<MarkAllReadRequest>,
    ) -> Result<Response<MarkAllReadResponse>, Status> {
        let method = "/trellis.notifications.v1.Inbox/MarkAllRead";
        self.answer(method, request, mark_all_read::run).await
    }
}

#[async_trait]
impl Preferences for Server {
    async fn get_preferences(
        &self,
        request: Request<GetPreferencesRequest>,
    ) -> Result<Response<PreferenceSet>, Status> {
        let method = "/trellis.notifications.v1.Preferences/GetPreferences";
        self.answer(method, request, get_preferences::run).await
    }

    async fn update_preferences(
        &self,
        request: Request<UpdatePreferencesRequest>,
    ) -> Result<Response<PreferenceSet>, Status> {
        let method = "/trellis.notifications.v1.Preferences/UpdatePreferences";
        self.answer(method, request, update_preferences::run).await
    }
}

#[async_trait]
impl Deliveries for Server {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let method = "/trellis.notifications.v1.Deliveries/ListDeliveries";
        self.answer(method, request, list_deliveries::run).await
    }
}

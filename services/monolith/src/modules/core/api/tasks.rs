//! `trellis.core.v1.Tasks`.

use axum::extract::State as Module;
use ficus_rpc::Error;
use trellis_contracts::core::v1::{
    self as wire, CreateTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse,
    TaskState, UpdateTaskRequest,
};

use super::not_found;
use crate::http::{Answer, Caller, Contract, Ended, Page, timestamp};
use crate::modules::core::Core;
use crate::modules::core::domain::{self, State, Task};
use crate::modules::core::store::{NewTask, change_task, create_task, place, task_for_update};
use crate::modules::idempotency::{Attempt, Key, Write};
use crate::modules::notifications::{Mails, News};

const CREATE: &str = "/trellis.core.v1.Tasks/CreateTask";
const UPDATE: &str = "/trellis.core.v1.Tasks/UpdateTask";

/// In a project of one of the caller's workspaces.
pub async fn create(
    Module(core): Module<Core>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<CreateTaskRequest>,
) -> Result<Answer, Ended> {
    let project_id = request.project_id;
    let title = domain::title(&request.title)?;
    let attempt = Attempt::by(caller.user_id, CREATE, key, &request);
    let mut write = core.writes.begin(attempt).await?;
    let workspace_id = place(&mut write, caller.user_id, project_id).await?;
    let workspace_id = workspace_id.ok_or_else(not_found)?;
    let task = NewTask { project_id, title, assignee_id: person(request.assignee_id) };
    let task = create_task(&mut write, workspace_id, task).await?.ok_or_else(stranger)?;
    let mails = tell_assignee(&core, &mut write, &caller, &task).await?;
    let answer = write.answer(&message(task)).await?;
    mails.send().await;
    Ok(answer)
}

/// One that the caller may see.
pub async fn get(
    Module(core): Module<Core>,
    caller: Caller,
    Contract(request): Contract<GetTaskRequest>,
) -> Result<Answer, Ended> {
    let task = core.store.task(caller.user_id, request.task_id).await?;
    Ok(Answer::of(&message(task.ok_or_else(not_found)?)))
}

/// Changes the fields that are present; without any, nothing changes.
pub async fn update(
    Module(core): Module<Core>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<UpdateTaskRequest>,
) -> Result<Answer, Ended> {
    let attempt = Attempt::by(caller.user_id, UPDATE, key, &request);
    let mut write = core.writes.begin(attempt).await?;
    let before = task_for_update(&mut write, caller.user_id, request.task_id).await?;
    let before = before.ok_or_else(not_found)?;
    let mut task = changed(before.clone(), &request)?;
    if request == (UpdateTaskRequest { task_id: request.task_id, ..Default::default() }) {
        return write.answer(&message(task)).await;
    }
    task.version = change_task(&mut write, &task).await?.ok_or_else(stranger)?;
    let mails = if task.assignee_id == before.assignee_id {
        Mails::none()
    } else {
        tell_assignee(&core, &mut write, &caller, &task).await?
    };
    let answer = write.answer(&message(task)).await?;
    mails.send().await;
    Ok(answer)
}

/// Newest first.
pub async fn list(
    Module(core): Module<Core>,
    caller: Caller,
    Contract(request): Contract<ListTasksRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let (project_id, before) = (request.project_id, page.before());
    let rows = core.store.tasks(caller.user_id, project_id, before, page.rows()).await?;
    let (rows, next_page_token) = page.cut(rows.ok_or_else(not_found)?, |task| task.id);
    let tasks = rows.into_iter().map(message).collect();
    Ok(Answer::of(&ListTasksResponse { tasks, next_page_token }))
}

/// Tells the assignee, unless they did it themselves.
async fn tell_assignee(
    core: &Core,
    write: &mut Write,
    caller: &Caller,
    task: &Task,
) -> Result<Mails, Ended> {
    let actor_id = caller.user_id;
    let Some(assignee_id) = task.assignee_id.filter(|id| *id != actor_id) else {
        return Ok(Mails::none());
    };
    let (task_id, workspace_id, version) = (task.id, task.workspace_id, task.version);
    let news = News::TaskAssigned { task_id, workspace_id, actor_id, assignee_id, version };
    core.notify.tell(write, &news).await
}

fn changed(mut task: Task, request: &UpdateTaskRequest) -> Result<Task, Error> {
    if let Some(title) = &request.title {
        domain::title(title)?.clone_into(&mut task.title);
    }
    if let Some(state) = request.state {
        task.state = state_of(state)?;
    }
    if let Some(assignee_id) = request.assignee_id {
        task.assignee_id = person(assignee_id);
    }
    Ok(task)
}

fn state_of(number: i32) -> Result<State, Error> {
    match TaskState::try_from(number) {
        Ok(TaskState::Open) => Ok(State::Open),
        Ok(TaskState::Doing) => Ok(State::Doing),
        Ok(TaskState::Done) => Ok(State::Done),
        Ok(TaskState::Unspecified) | Err(_) => {
            Err(Error::invalid("bad_request", "state must be open, doing or done"))
        }
    }
}

/// In the contract nobody is 0.
fn person(id: i64) -> Option<i64> {
    (id != 0).then_some(id)
}

fn stranger() -> Error {
    Error::unprocessable("assignee_not_a_member", "the assignee is no member of the workspace")
}

fn message(task: Task) -> wire::Task {
    let state = match task.state {
        State::Open => TaskState::Open,
        State::Doing => TaskState::Doing,
        State::Done => TaskState::Done,
    };
    wire::Task {
        id: task.id,
        project_id: task.project_id,
        title: task.title,
        state: state.into(),
        assignee_id: task.assignee_id.unwrap_or_default(),
        version: task.version,
        created_at: Some(timestamp(task.created_at)),
    }
}

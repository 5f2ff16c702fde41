//! What `#[service(global)]` makes of a trait, written by hand.
#![allow(unreachable_pub, reason = "generated items are as visible as the trait")]

use std::time::Duration;

use nebula::Context;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct User {
    pub id: u64,
    pub name: String,
}

#[derive(Debug, Deserialize, PartialEq, Serialize, thiserror::Error)]
pub enum PutError {
    #[error("read only")]
    ReadOnly,
}

pub type Alias<T> = Result<T, PutError>;

/// The contract of the tests.
pub trait Users: Send + Sync + 'static {
    fn find(&self, id: u64) -> impl Future<Output = Option<User>> + Send;
    fn put(&self, user: User) -> impl Future<Output = Alias<()>> + Send;
    fn remaining(&self, cx: &Context, depth: u64) -> impl Future<Output = Duration> + Send;
    fn helper(&self) -> u32 {
        7
    }
}

/// Calls [`Users`].
#[derive(Clone, Debug)]
pub struct UsersClient(::nebula::__private::Handle<UsersClient>);

impl UsersClient {
    pub fn new(node: &::nebula::Node) -> Self {
        Self(::nebula::__private::Handle::new(node))
    }
    pub fn local(service: impl Users) -> Self {
        Self(::nebula::__private::Handle::local(service))
    }
    pub fn with(
        &self,
        set: impl ::core::ops::FnOnce(::nebula::Options) -> ::nebula::Options,
    ) -> Self {
        Self(self.0.with(set))
    }
    pub fn within(&self, cx: &::nebula::Context) -> Self {
        Self(self.0.within(cx))
    }

    pub fn find(&self, id: u64) -> ::nebula::Call<'_, __users::Find> {
        self.0.call((id,))
    }
    pub fn put(&self, user: User) -> ::nebula::Call<'_, __users::Put> {
        self.0.call((user,))
    }
    pub fn remaining(&self, depth: u64) -> ::nebula::Call<'_, __users::Remaining> {
        self.0.call((depth,))
    }
}

#[doc(hidden)]
pub mod __users {
    #[derive(Debug)]
    pub struct Find;
    #[derive(Debug)]
    pub struct Put;
    #[derive(Debug)]
    pub struct Remaining;
}

impl ::nebula::__private::Method for __users::Find {
    type Api = UsersClient;
    type Args = (u64,);
    type Reply = Option<User>;
    type Shape = ::nebula::__private::Shape<false>;
    const INFO: &'static ::nebula::__private::MethodInfo =
        &::nebula::__private::MethodInfo::new("Users", "find", "(u64)->Option<User>").idempotent();
}
impl ::nebula::Idempotent for __users::Find {}

impl ::nebula::__private::Method for __users::Put {
    type Api = UsersClient;
    type Args = (User,);
    type Reply = Alias<()>;
    type Shape = ::nebula::__private::Shape<
        {
            #[allow(unused_imports)]
            use ::nebula::__private::ProbeFallback as _;
            ::nebula::__private::Probe::<Alias<()>>::RESULT
        },
    >;
    const INFO: &'static ::nebula::__private::MethodInfo =
        &::nebula::__private::MethodInfo::new("Users", "put", "(User)->Alias<()>")
            .index(1)
            .timeout_ms(2000)
            .max_concurrent(1)
            .queue(1);
}

impl ::nebula::__private::Method for __users::Remaining {
    type Api = UsersClient;
    type Args = (u64,);
    type Reply = Duration;
    type Shape = ::nebula::__private::Shape<
        {
            #[allow(unused_imports)]
            use ::nebula::__private::ProbeFallback as _;
            ::nebula::__private::Probe::<Duration>::RESULT
        },
    >;
    const INFO: &'static ::nebula::__private::MethodInfo =
        &::nebula::__private::MethodInfo::new("Users", "remaining", "(u64)->Duration").index(2);
}

impl ::nebula::__private::Service for UsersClient {
    const INFO: &'static ::nebula::__private::ServiceInfo = &::nebula::__private::ServiceInfo::new(
        "Users",
        &[
            <__users::Find as ::nebula::__private::Method>::INFO,
            <__users::Put as ::nebula::__private::Method>::INFO,
            <__users::Remaining as ::nebula::__private::Method>::INFO,
        ],
    )
    .global();
}

impl<T: Users> ::nebula::__private::Provides<UsersClient> for ::nebula::__private::Provider<T> {
    fn dispatch(
        self: ::std::sync::Arc<Self>,
        method: u16,
        cx: ::nebula::Context,
        input: ::nebula::__private::Input<'_>,
    ) -> ::nebula::__private::Started {
        match method {
            0 => input.run::<__users::Find, _, _>(cx, move |cx, (id,)| async move {
                let _ = &cx;
                self.0.find(id).await
            }),
            1 => input.run::<__users::Put, _, _>(cx, move |cx, (user,)| async move {
                let _ = &cx;
                self.0.put(user).await
            }),
            2 => input.run::<__users::Remaining, _, _>(cx, move |cx, (depth,)| async move {
                self.0.remaining(&cx, depth).await
            }),
            _ => input.unknown(),
        }
    }
}

const _: () = {
    #[allow(dead_code)]
    fn check() {
        ::nebula::__private::assert_wire::<u64>();
        ::nebula::__private::assert_wire::<Option<User>>();
    }
};

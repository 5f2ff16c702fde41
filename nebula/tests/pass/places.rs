//! Places: in a function body, in nested modules of any visibility, and made by `macro_rules`.

#![deny(warnings)]

use nebula::prelude::*;

#[tokio::test]
async fn in_a_function_body() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Local(u8);

    #[service]
    trait Inner {
        #[api(idempotent)]
        async fn find(&self, local: Local) -> Option<Local>;
        #[api]
        async fn try_find(&self, local: Local) -> Result<Local, String>;
    }

    struct Store;
    impl Inner for Store {
        async fn find(&self, local: Local) -> Option<Local> {
            Some(local)
        }

        async fn try_find(&self, local: Local) -> Result<Local, String> {
            Err(format!("{}", local.0))
        }
    }

    let client = InnerClient::local(Store);
    assert_eq!(client.find(Local(1)).await.unwrap(), Some(Local(1)));
    assert_eq!(client.try_find(Local(2)).await.unwrap_err().to_string(), "2");
}

mod outer {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Seen(pub(super) u8);

    pub(super) mod inner {
        use nebula::{api, service};

        #[derive(serde::Serialize, serde::Deserialize)]
        pub(in super::super) struct Deep(pub(in super::super) u8);

        #[derive(serde::Serialize, serde::Deserialize)]
        struct Private(u8);

        #[service]
        pub(in super::super) trait Far {
            #[api]
            async fn find(&self, seen: super::Seen) -> Deep;
        }

        #[service]
        pub(crate) trait Wide {
            #[api]
            async fn find(&self) -> u8;
        }

        #[service]
        pub(super) trait Near {
            #[api]
            async fn find(&self, deep: Deep) -> Deep;
        }

        #[service]
        #[allow(clippy::needless_pub_self)]
        pub(self) trait Own {
            #[api]
            async fn find(&self, private: Private) -> Private;
        }

        #[service]
        trait Bare {
            #[api]
            async fn find(&self) -> Private;
        }

        impl Own for () {
            async fn find(&self, private: Private) -> Private {
                private
            }
        }

        impl Bare for () {
            async fn find(&self) -> Private {
                Private(1)
            }
        }

        pub(in super::super) async fn own() -> u8 {
            let one = BareClient::local(()).find().await.unwrap();
            OwnClient::local(()).find(one).await.unwrap().0
        }
    }

    use inner::{Deep, Near, NearClient};

    impl Near for () {
        async fn find(&self, deep: Deep) -> Deep {
            deep
        }
    }

    pub(super) async fn near() -> u8 {
        NearClient::local(()).find(Deep(2)).await.unwrap().0
    }
}

use outer::inner::{Deep, Far, FarClient, Wide, WideClient};

impl Far for () {
    async fn find(&self, seen: outer::Seen) -> Deep {
        Deep(seen.0)
    }
}

impl Wide for () {
    async fn find(&self) -> u8 {
        4
    }
}

#[tokio::test]
async fn in_modules_of_any_visibility() {
    assert_eq!(outer::inner::own().await, 1);
    assert_eq!(outer::near().await, 2);
    assert_eq!(FarClient::local(()).find(outer::Seen(3)).await.unwrap().0, 3);
    assert_eq!(WideClient::local(()).find().await.unwrap(), 4);
}

macro_rules! getter {
    ($(#[$attr:meta])* $vis:vis $name:ident: $method:ident($arg:ident: $ty:ty) -> $reply:ty, $on:literal) => {
        #[service(on = $on)]
        $(#[$attr])*
        $vis trait $name {
            #[api(idempotent, on = $on)]
            async fn $method(&self, $arg: $ty) -> $reply;
            #[api]
            async fn fixed(&self, cx: &Context, value: $ty) -> Result<$reply, $ty>;
        }
    };
}

getter!(
    /// Made by a macro.
    pub(crate) Made: get(key: Option<u8>) -> u8, "&db"
);

impl Made for () {
    async fn get(&self, key: Option<u8>) -> u8 {
        key.unwrap_or(1)
    }

    async fn fixed(&self, _cx: &Context, value: Option<u8>) -> Result<u8, Option<u8>> {
        value.ok_or(None)
    }
}

#[tokio::test]
async fn made_by_macro_rules() {
    let client = MadeClient::local(());
    assert_eq!(client.get(None).await.unwrap(), 1);
    assert_eq!(client.fixed(Some(2)).await.ok(), Some(2));
}

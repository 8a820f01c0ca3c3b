//! What every stream's types have in common, as two macros: the enum of its events, and the aggregate that joins
//! `decide` and `fold`.

/// Defines the enum of a stream's events: tagged as they are stored, with their wire names.
macro_rules! events {
    (
        $(#[$documentation:meta])*
        $name:ident {
            $( $(#[$variant_documentation:meta])* $variant:ident($payload:ty) = $wire:literal ),+ $(,)?
        }
    ) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "event_type", content = "payload")]
        pub enum $name {
            $( $(#[$variant_documentation])* #[serde(rename = $wire)] $variant($payload), )+
        }

        impl $name {
            /// The wire name, with the type of the stream before the point.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $wire, )+
                }
            }
        }

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                $crate::events::SCHEMA_VERSION.to_string()
            }
        }
    };
}

/// Makes an aggregate of a type that has `decide(&self, command) -> Result<Vec<event>, error>` and
/// `fold(&mut self, event)`. An event that cannot belong to the state must leave it alone.
macro_rules! aggregate {
    ($name:ident = $stream_type:literal, $command:ty => $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $name {
            const TYPE: &'static str = $stream_type;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.fold(event);
            }
        }
    };
}

pub(crate) use {aggregate, events};

// Short names for the schemas of the OpenAPI document.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type User = Schemas["User"];
export type Person = Schemas["Person"];
export type Session = Schemas["Session"];
export type Room = Schemas["Room"];
export type Invite = Schemas["Invite"];
export type InvitePreview = Schemas["InvitePreview"];
export type Join = Schemas["Join"];
export type Message = Schemas["Message"];
export type RemovedPerson = Schemas["RemovedPerson"];
export type Call = Schemas["Call"];
export type CallStatus = Call["status"];
export type CallJoin = Schemas["CallJoin"];
export type StoredFile = Schemas["File"];
export type Share = Schemas["Share"];
export type SharePreview = Schemas["SharePreview"];
export type CallMedia = Call["media"];
export type AicConfig = Schemas["AicConfig"];
export type AicConfigChange = Schemas["ChangeAicConfigRequest"];
export type AicMode = Schemas["AicMode"];
export type AicFigures = Schemas["AicFigures"];
export type AicPoint = Schemas["AicPoint"];
export type AicMetrics = Schemas["AicMetrics"];
export type AicSession = Schemas["AicSession"];
export type AicAlert = Schemas["AicAlert"];
export type AicModelHour = Schemas["AicModelHour"];
export type AicUsageReport = Schemas["AicUsageReport"];

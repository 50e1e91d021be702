package rest

import (
	"net/http"
	"slices"
)

// Parameters that several operations share.
var (
	attributes  = param{name: "Attributes", about: "JSON text, kept byte for byte."}
	dateCreated = param{name: "DateCreated", kind: date, code: 50308, about: "Restores the date of creation, as an import does."}
	dateUpdated = param{name: "DateUpdated", kind: date, code: 50309, about: "Restores the date of the last change, as an import does."}
	roleSid     = param{name: "RoleSid", kind: sid, prefix: "RL"}
	friendly    = param{name: "FriendlyName", max: 256}
)

var conversationParams = []param{
	friendly,
	{name: "UniqueName", max: 64, about: "Unique within the service."},
	attributes,
	{name: "MessagingServiceSid", kind: sid, prefix: "MG", code: 50341, about: "Carries messages to participants outside chat."},
	dateCreated, dateUpdated,
	{name: "State", values: []string{"active", "inactive", "closed"}},
	{name: "Timers.Inactive", about: "ISO 8601 duration of days and smaller units, at least PT1M; PT0S disables."},
	{name: "Timers.Closed", about: "ISO 8601 duration of days and smaller units, at least PT10M; PT0S disables."},
	{name: "Bindings.Email.Address", max: 256},
	{name: "Bindings.Email.Name", max: 256},
}

var webhookParams = []param{
	{name: "Configuration.Url", about: "Absolute URL."},
	{name: "Configuration.Method", values: []string{"get", "post"}},
	{name: "Configuration.Filters", kind: list},
	{name: "Configuration.Triggers", kind: list},
	{name: "Configuration.FlowSid", kind: sid, prefix: "FW", code: 50367},
}

var autoCreationParams = []param{
	friendly,
	{name: "AutoCreation.Enabled", kind: flag},
	{name: "AutoCreation.Type", kind: choice, values: []string{"webhook", "studio", "default"}},
	{name: "AutoCreation.ConversationServiceSid", kind: sid, prefix: "IS"},
	{name: "AutoCreation.WebhookUrl"},
	{name: "AutoCreation.WebhookMethod", kind: choice, code: 50055, values: []string{"get", "post"}},
	{name: "AutoCreation.WebhookFilters", kind: list},
	{name: "AutoCreation.StudioFlowSid", kind: sid, prefix: "FW", code: 50367},
	{name: "AutoCreation.StudioRetryCount", kind: integer},
}

var credentialParams = []param{
	{name: "FriendlyName", max: 64},
	{name: "Certificate"}, {name: "PrivateKey"}, {name: "Sandbox", kind: flag}, {name: "ApiKey"}, {name: "Secret"},
}

var messageParams = []param{
	{name: "Author", max: 256}, {name: "Body", about: "At most 32 KiB."}, attributes, {name: "Subject", max: 256}, dateCreated, dateUpdated,
}

var pushTypes = []string{"apn", "gcm", "fcm"}

// with is a list of parameters with more before it.
func with(rest []param, first ...param) []param { return slices.Concat(first, rest) }

// table lists every operation there is.
func table() []route {
	return slices.Concat(accountRoutes(), serviceRoutes(), conversationRoutes(), partRoutes(), personRoutes(), ownRoutes())
}

func accountRoutes() []route {
	addressTypes := []string{"sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat"}
	addressType := param{name: "Type", required: true, values: addressTypes}
	return []route{
		fetch("/Configuration", "FetchConfiguration", configurationBody{}, fetchConfiguration).in(accountForm),
		update("/Configuration", "UpdateConfiguration", configurationBody{}, updateConfiguration,
			param{name: "DefaultChatServiceSid", kind: sid, prefix: "IS"}, param{name: "DefaultMessagingServiceSid", kind: sid, prefix: "MG", code: 50341},
			param{name: "DefaultInactiveTimer"}, param{name: "DefaultClosedTimer"}).in(accountForm),
		fetch("/Configuration/Webhooks", "FetchConfigurationWebhook", accountWebhooksBody{}, fetchAccountWebhooks).in(accountForm),
		update("/Configuration/Webhooks", "UpdateConfigurationWebhook", accountWebhooksBody{}, updateAccountWebhooks,
			param{name: "Method", values: []string{"GET", "POST"}}, param{name: "Filters", kind: list}, param{name: "PreWebhookUrl"},
			param{name: "PostWebhookUrl"}, param{name: "Target", values: []string{"webhook", "flex"}}).in(accountForm),
		listOf("/Configuration/Addresses", "ListConfigurationAddress", addressBody{}, "address_configurations", 50, lists(theAccount, (*call).addresses, (*call).addressBody),
			param{name: "Type", kind: choice, values: addressTypes}).in(accountForm),
		create("/Configuration/Addresses", "CreateConfigurationAddress", addressBody{}, createAddress,
			with(autoCreationParams, addressType, param{name: "Address", required: true, max: 256}, param{name: "AddressCountry", max: 2})...).in(accountForm),
		fetch("/Configuration/Addresses/{Sid}", "FetchConfigurationAddress", addressBody{}, fetchAddress).in(accountForm),
		update("/Configuration/Addresses/{Sid}", "UpdateConfigurationAddress", addressBody{}, updateAddress, autoCreationParams...).in(accountForm),
		remove("/Configuration/Addresses/{Sid}", "DeleteConfigurationAddress", deleteAddress).in(accountForm),
		listOf("/Credentials", "ListCredential", credentialBody{}, "credentials", 100, lists(theAccount, (*call).credentials, (*call).credentialBody)).in(accountForm),
		create("/Credentials", "CreateCredential", credentialBody{}, createCredential,
			with(credentialParams, param{name: "Type", required: true, missing: 20001, values: pushTypes})...).in(accountForm),
		fetch("/Credentials/{Sid}", "FetchCredential", credentialBody{}, fetchCredential).in(accountForm),
		update("/Credentials/{Sid}", "UpdateCredential", credentialBody{}, updateCredential, with(credentialParams, param{name: "Type", values: pushTypes})...).in(accountForm),
		remove("/Credentials/{Sid}", "DeleteCredential", deleteCredential).in(accountForm),
		listOf("/Services", "ListService", serviceBody{}, "services", 100, lists(theAccount, (*call).services, (*call).serviceBody)).in(accountForm),
		create("/Services", "CreateService", serviceBody{}, createService, param{name: "FriendlyName", required: true, max: 256}).in(accountForm),
		fetch("/Services/{Sid}", "FetchService", serviceBody{}, fetchService).in(accountForm),
		remove("/Services/{Sid}", "DeleteService", deleteService).in(accountForm),
	}
}

func serviceRoutes() []route {
	notification := func(kind string) []param {
		return []param{{name: kind + ".Enabled", kind: flag}, {name: kind + ".Template", max: 512}, {name: kind + ".Sound", max: 256}}
	}
	return []route{
		fetch("/Configuration", "FetchServiceConfiguration", serviceConfigurationBody{}, ofService((*call).showServiceConfiguration)).in(serviceForm),
		update("/Configuration", "UpdateServiceConfiguration", serviceConfigurationBody{}, updateServiceConfiguration,
			param{name: "DefaultConversationCreatorRoleSid", kind: sid, prefix: "RL"}, param{name: "DefaultConversationRoleSid", kind: sid, prefix: "RL"},
			param{name: "DefaultChatServiceRoleSid", kind: sid, prefix: "RL"}, param{name: "ReachabilityEnabled", kind: flag}).in(serviceForm),
		fetch("/Configuration/Notifications", "FetchServiceNotification", notificationsBody{}, ofService((*call).showNotifications)).in(serviceForm),
		update("/Configuration/Notifications", "UpdateServiceNotification", notificationsBody{}, updateNotifications,
			slices.Concat([]param{{name: "LogEnabled", kind: flag}}, notification("NewMessage"), []param{{name: "NewMessage.BadgeCountEnabled", kind: flag},
				{name: "NewMessage.WithMedia.Enabled", kind: flag}, {name: "NewMessage.WithMedia.Template", max: 512}},
				notification("AddedToConversation"), notification("RemovedFromConversation"))...).in(serviceForm),
		fetch("/Configuration/Webhooks", "FetchServiceWebhookConfiguration", serviceWebhooksBody{}, ofService((*call).showServiceWebhooks)).in(serviceForm),
		update("/Configuration/Webhooks", "UpdateServiceWebhookConfiguration", serviceWebhooksBody{}, updateServiceWebhooks,
			param{name: "PreWebhookUrl"}, param{name: "PostWebhookUrl"}, param{name: "Filters", kind: list},
			param{name: "Method", values: []string{"GET", "POST"}}).in(serviceForm),
		listOf("/Bindings", "ListServiceBinding", pushBindingBody{}, "bindings", 100, lists(theService, (*call).pushBindings, (*call).pushBindingBody),
			param{name: "BindingType", kind: list, values: append(slices.Clone(pushTypes), "twilsock")}, param{name: "Identity", kind: list}).in(serviceForm),
		fetch("/Bindings/{Sid}", "FetchServiceBinding", pushBindingBody{}, fetchBinding).in(serviceForm),
		remove("/Bindings/{Sid}", "DeleteServiceBinding", deleteBinding).in(serviceForm),
	}
}

func conversationRoutes() []route {
	return []route{
		listOf("/Conversations", "ListConversation", conversationBody{}, "conversations", 100, lists(theService, (*call).conversations, (*call).conversationBody),
			param{name: "StartDate", kind: day, about: "Created at this instant, or on this day, or later."},
			param{name: "EndDate", kind: day, about: "Created at this instant, or on this day, or earlier."},
			param{name: "State", kind: choice, code: 50378, values: []string{"initializing", "inactive", "active", "closed"}}).forUsers(),
		create("/Conversations", "CreateConversation", conversationBody{}, createConversation, conversationParams...).hooked().forUsers().limitedBy(perService),
		fetch("/Conversations/{Sid}", "FetchConversation", conversationBody{}, showIn("Sid", (*call).showConversation)).forUsers(),
		update("/Conversations/{Sid}", "UpdateConversation", conversationBody{}, updateConversation, conversationParams...).hooked().forUsers().limitedBy(perConversation),
		remove("/Conversations/{Sid}", "DeleteConversation", deleteConversation).hooked().forUsers().limitedBy(perService),
		create("/ConversationWithParticipants", "CreateConversationWithParticipants", conversationBody{}, createConversationWithParticipants,
			append(slices.Clone(conversationParams), param{name: "Participant", kind: jsonLists, code: 50424,
				about: "JSON object with a participant's parameters in snake case; at most 10."})...).hooked().limitedBy(perService),
	}
}

func partRoutes() []route {
	const in = "/Conversations/{ConversationSid}"
	binding := []param{{name: "MessagingBinding.ProxyAddress", max: 256}, {name: "MessagingBinding.ProjectedAddress", max: 256}}
	participant := slices.Concat(binding, []param{{name: "Identity", max: 256}, attributes, roleSid, dateCreated, dateUpdated})
	return []route{
		listOf(in+"/Participants", "ListConversationParticipant", participantBody{}, "participants", 100, listIn((*call).participants, (*call).participantBody)).forUsers(),
		create(in+"/Participants", "CreateConversationParticipant", participantBody{}, createParticipant,
			with(participant, param{name: "MessagingBinding.Address", max: 256}, param{name: "MessagingBinding.Level", values: []string{"to", "cc"}, about: "E-mail only."},
				param{name: "MessagingBinding.Name", max: 256, about: "E-mail only."})...).hooked().forUsers().joining().limitedBy(perConversation),
		fetch(in+"/Participants/{Sid}", "FetchConversationParticipant", participantBody{}, showIn("ConversationSid", (*call).showNamedParticipant)).forUsers(),
		update(in+"/Participants/{Sid}", "UpdateConversationParticipant", participantBody{}, updateParticipant,
			with(participant, param{name: "LastReadMessageIndex", kind: integer, code: 50421}, param{name: "LastReadTimestamp", kind: date})...).hooked().forUsers().limitedBy(perConversation),
		remove(in+"/Participants/{Sid}", "DeleteConversationParticipant", deleteParticipant).hooked().forUsers().limitedBy(perConversation),
		listOf(in+"/Messages", "ListConversationMessage", messageBody{}, "messages", 100, listIn((*call).messages, (*call).messageBody),
			param{name: "Order", kind: choice, values: []string{"asc", "desc"}}).forUsers(),
		create(in+"/Messages", "CreateConversationMessage", messageBody{}, createMessage,
			append(slices.Clone(messageParams), param{name: "MediaSid", kind: list, prefix: "ME", about: "An uploaded file; may be repeated."},
				param{name: "ContentSid", kind: sid, prefix: "HX", code: 50526}, param{name: "ContentVariables", about: "JSON object."})...).hooked().forUsers().limitedBy(perConversation),
		fetch(in+"/Messages/{Sid}", "FetchConversationMessage", messageBody{}, showIn("ConversationSid", (*call).showNamedMessage)).forUsers(),
		update(in+"/Messages/{Sid}", "UpdateConversationMessage", messageBody{}, updateMessage, messageParams...).hooked().forUsers().limitedBy(perConversation),
		remove(in+"/Messages/{Sid}", "DeleteConversationMessage", deleteMessage).hooked().forUsers().limitedBy(perConversation),
		listOf(in+"/Messages/{MessageSid}/Receipts", "ListConversationMessageReceipt", receiptBody{}, "delivery_receipts", 50, listIn((*call).receipts, (*call).receiptBody)).forUsers(),
		fetch(in+"/Messages/{MessageSid}/Receipts/{Sid}", "FetchConversationMessageReceipt", receiptBody{}, showIn("ConversationSid", (*call).showReceipt)).forUsers(),
		listOf(in+"/Webhooks", "ListConversationScopedWebhook", webhookBody{}, "webhooks", 5, listIn((*call).webhooks, (*call).webhookBody)),
		create(in+"/Webhooks", "CreateConversationScopedWebhook", webhookBody{}, createWebhook,
			with(webhookParams, param{name: "Target", required: true, values: []string{"webhook", "trigger", "studio"}},
				param{name: "Configuration.ReplayAfter", kind: integer, code: 50054})...),
		fetch(in+"/Webhooks/{Sid}", "FetchConversationScopedWebhook", webhookBody{}, showIn("ConversationSid", (*call).showNamedWebhook)),
		update(in+"/Webhooks/{Sid}", "UpdateConversationScopedWebhook", webhookBody{}, updateWebhook, webhookParams...).limitedBy(perConversation),
		remove(in+"/Webhooks/{Sid}", "DeleteConversationScopedWebhook", deleteWebhook).limitedBy(perConversation),
	}
}

func personRoutes() []route {
	permission := param{name: "Permission", kind: list, required: true}
	return []route{
		listOf("/ParticipantConversations", "ListParticipantConversation", participantConversationBody{}, "conversations", 50, lists(theService, (*call).participantConversations, (*call).participantConversationBody),
			param{name: "Identity", about: "Either this or Address."}, param{name: "Address", about: "Either this or Identity."}).forUsers(),
		listOf("/Roles", "ListRole", roleBody{}, "roles", 50, lists(theService, (*call).roles, (*call).roleBody)).forUsers(),
		create("/Roles", "CreateRole", roleBody{}, createRole, param{name: "FriendlyName", required: true, max: 64},
			param{name: "Type", required: true, values: []string{"conversation", "service"}}, permission).limitedBy(perService),
		fetch("/Roles/{Sid}", "FetchRole", roleBody{}, fetchRole).forUsers(),
		update("/Roles/{Sid}", "UpdateRole", roleBody{}, updateRole, permission).limitedBy(perService),
		remove("/Roles/{Sid}", "DeleteRole", deleteRole).limitedBy(perService),
		listOf("/Users", "ListUser", userBody{}, "users", 50, lists(theService, (*call).users, (*call).userBody)),
		create("/Users", "CreateUser", userBody{}, createUser, param{name: "Identity", required: true, max: 256}, friendly, attributes, roleSid).hooked().limitedBy(perService),
		fetch("/Users/{Sid}", "FetchUser", userBody{}, fetchUser).forUsers(),
		update("/Users/{Sid}", "UpdateUser", userBody{}, updateUser, friendly, attributes, roleSid).hooked().forUsers().limitedBy(perService),
		remove("/Users/{Sid}", "DeleteUser", deleteUser).hooked().limitedBy(perService),
		listOf("/Users/{UserSid}/Conversations", "ListUserConversation", userConversationBody{}, "conversations", 50, listUserConversations,
			param{name: "Order", alias: "order", kind: choice, values: []string{"last_activity"}, about: "Those first in which something happened last: a message, somebody new, a state that was set. Otherwise by SID. Also written order."}).forUsers(),
		fetch("/Users/{UserSid}/Conversations/{ConversationSid}", "FetchUserConversation", userConversationBody{}, fetchUserConversation).forUsers(),
		update("/Users/{UserSid}/Conversations/{ConversationSid}", "UpdateUserConversation", userConversationBody{}, updateUserConversation,
			param{name: "NotificationLevel", values: []string{"default", "muted"}}, param{name: "LastReadMessageIndex", kind: index, code: 50421},
			param{name: "LastReadTimestamp", kind: date}).forUsers().limitedBy(perConversation),
		remove("/Users/{UserSid}/Conversations/{ConversationSid}", "DeleteUserConversation", deleteUserConversation).forUsers().limitedBy(perConversation),
	}
}

// ownRoutes are Parley's additions.
func ownRoutes() []route {
	upload := create("/Media", "CreateMedia", mediaBody{}, createMedia, param{name: "Filename", max: 256}, param{name: "Author", max: 256}).forUsers().limitedBy(perService)
	upload.raw = true
	content := fetch("/Media/{Sid}/Content", "FetchMediaContent", nil, fetchMediaContent).forUsers()
	content.signed = true
	routes := []route{
		upload, content,
		fetch("/Media/{Sid}", "FetchMedia", mediaBody{}, fetchMedia).forUsers(),
		fetch("/Conversations/{ConversationSid}/Messages/{Sid}/ChannelMetadata", "FetchConversationMessageChannelMetadata", nil, showIn("ConversationSid", (*call).showChannelMetadata)).forUsers(),
		listOf("/Conversations/{Sid}/History", "ListConversationHistory", eventBody{}, "events", 100, listHistory,
			param{name: "Order", kind: choice, values: []string{"asc", "desc"}},
			param{name: "AsOf", max: 64, about: "Ends the history at a position of the log, or at a time."},
			param{name: "Clock", kind: choice, values: []string{"recorded", "occurred"}, about: "What a time in AsOf is compared with."}),
	}
	for i := range routes {
		routes[i].own = true
	}
	return routes
}

func fetch(path, name string, answer any, handle func(*call) error) route {
	return route{method: http.MethodGet, path: path, name: name, answer: answer, handle: handle, status: http.StatusOK}
}

func listOf(path, name string, answer any, key string, largest int, handle func(*call) error, params ...param) route {
	r := fetch(path, name, answer, handle)
	r.list, r.page, r.params = key, largest, append(params, paging...)
	return r
}

func update(path, name string, answer any, handle func(*call) error, params ...param) route {
	return route{method: http.MethodPost, path: path, name: name, answer: answer, handle: handle, params: params, status: http.StatusOK}
}

func create(path, name string, answer any, handle func(*call) error, params ...param) route {
	return route{method: http.MethodPost, path: path, name: name, answer: answer, handle: handle, params: params, status: http.StatusCreated}
}

func remove(path, name string, handle func(*call) error) route {
	return route{method: http.MethodDelete, path: path, name: name, handle: handle, status: http.StatusNoContent}
}

func (r route) in(f forms) route        { r.forms = f; return r }
func (r route) forUsers() route         { r.users = true; return r }
func (r route) hooked() route           { r.hooks = true; return r }
func (r route) joining() route          { r.joins = true; return r }
func (r route) limitedBy(s scope) route { r.limit = s; return r }

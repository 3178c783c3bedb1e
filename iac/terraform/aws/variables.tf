variable "region" {
  description = "Region of the groups and services; one daemon serves one region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be one region's name, for example eu-central-1; wildcards would allow all."
  }
}

variable "auto_scaling_group_names" {
  description = "Auto Scaling groups whose desired capacity the daemon may set. An empty list allows none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.auto_scaling_group_names : length(regexall("[*?$]", it)) == 0 && it != ""])
    error_message = "Name each group: `*`, `?` and `$` would allow more than is listed."
  }
}

variable "ecs_services" {
  description = "ECS services whose desired count the daemon may set. An empty list allows none."
  type        = list(object({ cluster = string, service = string }))
  default     = []

  validation {
    condition = alltrue([
      for it in var.ecs_services :
      can(regex("^[A-Za-z0-9_-]+$", it.cluster)) && can(regex("^[A-Za-z0-9_-]+$", it.service))
    ])
    error_message = "Name each cluster and service (letters, digits, `_`, `-`), without ARN and without `*`."
  }
}

variable "required_tag" {
  description = "Tag that a group or service must carry as well, so that its owner can withdraw it at any time. Null asks for none."
  type        = object({ key = string, value = string })
  default     = { key = "evenkeel", value = "managed" }
}

variable "heal_instances" {
  description = "Whether playbooks may replace instances of the groups, and tasks of the services, listed. Leave it off where none does."
  type        = bool
  default     = false
}

variable "policy_name" {
  description = "Name of the policy."
  type        = string
  default     = "evenkeel"
}

variable "role_name" {
  description = "Role of the daemon to attach the policy to. Null attaches it to nothing."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the policy itself."
  type        = map(string)
  default     = {}
}
